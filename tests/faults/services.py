"""The servers of one installation, to be stopped, killed, wiped and started again under their addresses."""

import shutil
import signal
import time
from pathlib import Path
from urllib.parse import urlsplit

import redis

from config import embedded
from config.embedded.processes import find_servers
from faults.proxy import Proxy

_END_SECONDS = 30.0


class Services:
    """An embedded PostgreSQL and Redis of their own, each behind a proxy."""

    def __init__(self, var_dir: Path) -> None:
        self._var_dir = var_dir
        started = embedded.start(var_dir)
        self.database_url = started.database_url or ""
        self.redis_url = started.redis_url or ""
        self.postgres_proxy = Proxy("postgres", *_address(self.database_url))
        self.redis_proxy = Proxy("redis", *_address(self.redis_url))

    @property
    def environment(self) -> dict[str, str]:
        """The addresses for the installation's processes: those of the proxies."""
        return {
            "DATABASE_URL": _with_port(self.database_url, self.postgres_proxy.port),
            "REDIS_URL": _with_port(self.redis_url, self.redis_proxy.port),
        }

    def redis(self) -> redis.Redis:
        """Give a client that goes past the proxy."""
        return redis.Redis.from_url(self.redis_url, socket_timeout=5)

    def stop(self, name: str) -> None:
        """Stop one server in order: Redis writes what it holds, PostgreSQL ends its sessions."""
        embedded.stop(self._var_dir, only=[name])

    def kill(self, name: str) -> None:
        """End one server as a power cut would."""
        folder = embedded.data_folder(self._var_dir)
        if name == embedded.REDIS:
            processes = find_servers(folder / "redis" / "redis.conf", program="redis-server")
        else:
            processes = find_servers(folder / "postgres", program="postgres")
        for process in processes:
            process.send_signal(signal.SIGKILL)
            process.wait(_END_SECONDS)

    def start(self, name: str) -> None:
        """Start one server again; its address is the one that it had."""
        before = (self.database_url, self.redis_url)
        started = embedded.start(self._var_dir, only=[name])
        self.database_url = started.database_url or self.database_url
        self.redis_url = started.redis_url or self.redis_url
        if (self.database_url, self.redis_url) != before:
            raise RuntimeError(f"the port of {name} was taken meanwhile")

    def wipe_redis(self) -> None:
        """Kill Redis, delete all it had on the disk, and start it empty."""
        self.kill(embedded.REDIS)
        folder = embedded.data_folder(self._var_dir) / "redis"
        for path in folder.iterdir():
            if path.name != "redis.conf":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.start(embedded.REDIS)

    def close(self) -> None:
        """End the proxies and the servers, and delete the servers' data."""
        self.postgres_proxy.close()
        self.redis_proxy.close()
        embedded.remove(self._var_dir)


def wait_for(condition, *, seconds: float, what: str, every: float = 0.2) -> float:
    """Wait until something is so; gives how long it took. Raises TimeoutError with what was waited for."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > seconds:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)
    return time.monotonic() - started


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 0


def _with_port(url: str, port: int) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{port}").geturl()
