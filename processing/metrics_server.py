"""A worker's own /metrics: served by the parent process, which adds its children up."""

import logging
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from django.conf import settings
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from accounts.internal_token import carries_internal_token
from processing import multiprocess, process_tree

logger = logging.getLogger(__name__)

PORTS_TRIED = 100

_server: ThreadingHTTPServer | None = None


class ProcessTreeCollector(Collector):
    """What the worker and its children take from the host, measured when it is asked for."""

    def collect(self) -> Iterator[Metric]:
        """Give memory, CPU time and the number of processes."""
        tree = process_tree.measure()
        yield GaugeMetricFamily("darkroom_worker_processes", "Processes of this worker.", tree.processes)
        yield GaugeMetricFamily("darkroom_worker_memory_bytes", "Resident memory of them.", tree.memory_bytes)
        yield GaugeMetricFamily("darkroom_worker_open_files", "Open files of them.", tree.open_files)
        yield CounterMetricFamily("darkroom_worker_cpu_seconds", "CPU time of them.", tree.cpu_seconds)


class _Handler(BaseHTTPRequestHandler):
    # seconds that a connection may be silent
    timeout = 5

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"only /metrics is here\n")
        elif settings.INTERNAL_TOKEN and not carries_internal_token(self.headers):
            self._answer(HTTPStatus.FORBIDDEN, "text/plain", b"the internal token is missing or wrong\n")
        else:
            own = CollectorRegistry()
            own.register(ProcessTreeCollector())
            body = generate_latest(multiprocess.registry()) + generate_latest(own)
            self._answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, body)

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
        """Say nothing: a scrape every few seconds is no news."""
        logger.debug(format, *args)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


def serve(*, host: str, first_port: int) -> int | None:
    """Serve /metrics from a thread, on the first free port from `first_port` on; gives the port, none if there is none.

    A second call gives the port of the first.
    """
    global _server  # noqa: PLW0603 - a process has one, and a forked child must find it
    if _server is None:
        _server = _bind(host, first_port)
        if _server is None:
            logger.error("no port is free for metrics from %d on", first_port)
            return None
        Thread(target=_server.serve_forever, name="metrics", daemon=True).start()
        logger.info("metrics on http://%s:%d/metrics", host, _server.server_port)
    return _server.server_port


def leave_to_parent() -> None:
    """In a forked child, close the inherited socket, or it would keep the port after the parent has gone."""
    global _server  # noqa: PLW0603 - as above
    if _server is not None:
        _server.socket.close()
        _server = None


def _bind(host: str, first_port: int) -> _Server | None:
    for port in range(first_port, first_port + PORTS_TRIED):
        try:
            return _Server((host, port), _Handler)
        except OSError:
            logger.debug("port %d is taken", port)
    return None
