"""A relay between the command and a server: counts what the command sends, slows it down, and may change the server."""

import contextlib
import socket
import threading
import time
from urllib.parse import urlsplit

_BLOCK_BYTES = 64 * 1024


class Relay:
    """Takes connections at `url` and passes them on to `target`, the address of a server or None for nobody.

    `sent` counts the bytes of requests. `seconds_per_block` is waited for each 64 KiB of them.
    """

    def __init__(self, target: str | None, *, seconds_per_block: float = 0) -> None:
        self.target, self.seconds_per_block = target, seconds_per_block
        self.sent = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._take, daemon=True).start()

    def cut(self) -> None:
        """Break every connection that is open."""
        with self._lock:
            cut, self._open = self._open, set()
        for one in cut:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it."""
        self._listening.close()
        self.cut()

    def _take(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with client:
            try:
                parts = urlsplit(self.target or "")
                server = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 1))
            except OSError:
                return
            with server:
                with self._lock:
                    self._open |= {client, server}
                back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
                back.start()
                self._pump(client, server, counted=True)
                back.join()
                with self._lock:
                    self._open -= {client, server}

    def _pump(self, source: socket.socket, sink: socket.socket, *, counted: bool = False) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_BLOCK_BYTES):
                if counted:
                    with self._lock:
                        self.sent += len(data)
                    time.sleep(self.seconds_per_block)
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
