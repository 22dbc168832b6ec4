"""The server under the application: uvicorn, which ends when it is told to although its answers have no end."""

import asyncio
import resource
import socket
from types import FrameType
from typing import Any

import uvicorn
from django.db import connections
from uvicorn.protocols.http.h11_impl import H11Protocol

from config.event_stream.application import Application

# for the last words of all streams
PATIENCE_SECONDS = 8
BACKLOG = 2048
# a client whose host is gone says no goodbye: its connection ends when nothing is confirmed for so long
UNCONFIRMED_MILLISECONDS = 60_000

# libpq's, in seconds but for the last one, in milliseconds: of a query that is not even taken
DATABASE_PATIENCE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 15_000}


class Protocol(H11Protocol):
    """A connection that the application can end at once, and that does not outlive a client that is gone."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Take a client."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}
        connected = transport.get_extra_info("socket")
        if connected is not None and hasattr(socket, "TCP_USER_TIMEOUT") and connected.family != socket.AF_UNIX:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNCONFIRMED_MILLISECONDS)


class Server(uvicorn.Server):
    """Ends all streams when it is told to end, and then itself, with status 0."""

    def __init__(self, application: Application, **options: Any) -> None:
        config = uvicorn.Config(
            application,
            http=Protocol,
            ws="none",
            lifespan="on",
            # a line for each request would have the ticket in it
            access_log=False,
            log_config=None,
            # whose address is believed is the middleware's to say
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=PATIENCE_SECONDS,
            **options,
        )
        super().__init__(config)
        self._application = application

    def handle_exit(self, _signal: int, _frame: FrameType | None) -> None:
        """End."""
        self.should_exit = True
        self._application.close()


def serve(*, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    _allow_many_connections()
    for database in connections.settings.values():
        # before any is opened: a host that is gone does not say so
        database["OPTIONS"] = {**DATABASE_PATIENCE, **database.get("OPTIONS", {})}
    Server(Application(), host=host, port=port).run()


def _allow_many_connections() -> None:
    """Raise the limit of open files to what the system allows: each listener is one, and many begin with 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
