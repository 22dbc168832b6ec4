"""A TCP proxy in a process of its own, which can refuse, hang, delay, and cut a connection after so many bytes."""

import asyncio
import contextlib
import multiprocessing
import socket
import struct
from dataclasses import dataclass
from multiprocessing.connection import Connection

LOOPBACK = "127.0.0.1"
_CHUNK_BYTES = 64 * 1024
_ANSWER_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """How a proxy behaves from now on.

    `refuse` closes the port and resets what is connected. `hang` takes connections and says nothing, in both
    directions, as a host whose packets are dropped. `delay` is seconds per chunk. `cut_request_after` and
    `cut_reply_after` reset a connection after so many bytes to or from the server, counted from now on.
    """

    refuse: bool = False
    hang: bool = False
    delay: float = 0.0
    cut_request_after: int | None = None
    cut_reply_after: int | None = None


PASS = Mode()


class Proxy:
    """The harness's side: a port, and the switch."""

    def __init__(self, name: str, host: str, port: int) -> None:
        listener = socket.create_server((LOOPBACK, 0), backlog=256)
        self.port: int = listener.getsockname()[1]
        context = multiprocessing.get_context("spawn")
        self._switch, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(listener, host, port, theirs), name=f"proxy-{name}", daemon=True
        )
        self._process.start()
        listener.close()

    @property
    def url(self) -> str:
        """Its address for HTTP."""
        return f"http://{LOOPBACK}:{self.port}"

    def set(self, mode: Mode) -> None:
        """Behave so; returns when it does."""
        self._ask(mode)

    def reset_connections(self) -> None:
        """Break every connection that is open; new ones are taken."""
        self._ask("reset")

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.join(_ANSWER_SECONDS)

    def _ask(self, what: object) -> None:
        self._switch.send(what)
        if not self._switch.poll(_ANSWER_SECONDS):
            raise TimeoutError("the proxy does not answer")
        self._switch.recv()


def _serve(listener: socket.socket, host: str, port: int, switch: Connection) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_Server(listener, host, port, switch).run())


class _Server:
    """The proxy's own side."""

    def __init__(self, listener: socket.socket, host: str, port: int, switch: Connection) -> None:
        self._listener: socket.socket | None = listener
        self._own_port = listener.getsockname()[1]
        self._target = (host, port)
        self._switch = switch
        self._mode = PASS
        self._may_flow = asyncio.Event()
        self._may_flow.set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._budgets = {"request": None, "reply": None}

    async def run(self) -> None:
        """Serve until the process is ended; when the harness is gone, end too."""
        await self._listen()
        loop = asyncio.get_running_loop()
        gone = loop.create_future()
        loop.add_reader(self._switch.fileno(), lambda: asyncio.ensure_future(self._obey(gone)))
        await gone

    async def _obey(self, gone: asyncio.Future) -> None:
        try:
            if not self._switch.poll():
                return
            what = self._switch.recv()
        except EOFError:
            if not gone.done():
                gone.set_result(None)
            return
        if what == "reset":
            self._reset()
        else:
            await self._change(what)
        self._switch.send("done")

    async def _change(self, mode: Mode) -> None:
        self._mode = mode
        self._budgets = {"request": mode.cut_request_after, "reply": mode.cut_reply_after}
        if mode.refuse and self._server is not None:
            self._server.close()
            self._server = None
            self._reset()
        elif not mode.refuse and self._server is None:
            await self._listen()
        if mode.hang:
            self._may_flow.clear()
        else:
            self._may_flow.set()

    async def _listen(self) -> None:
        listener = self._listener or socket.create_server((LOOPBACK, self._own_port), backlog=256)
        self._listener = None
        self._server = await asyncio.start_server(self._connected, sock=listener, limit=_CHUNK_BYTES)

    def _reset(self) -> None:
        for writer in list(self._writers):
            _reset(writer)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._may_flow.wait()
            far_reader, far_writer = await asyncio.open_connection(*self._target, limit=_CHUNK_BYTES)
        except OSError:
            _reset(writer)
            self._writers.discard(writer)
            return
        self._writers.add(far_writer)
        ways = [
            asyncio.ensure_future(self._pump(reader, far_writer, "request")),
            asyncio.ensure_future(self._pump(far_reader, writer, "reply")),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for one in (writer, far_writer):
                self._writers.discard(one)
                one.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                await self._may_flow.wait()
                if self._mode.delay:
                    await asyncio.sleep(self._mode.delay)
                left = self._budgets[way]
                if left is not None:
                    self._budgets[way] = left - len(data)
                    data = data[: max(left, 0)]
                writer.write(data)
                await writer.drain()
                if left is not None and self._budgets[way] <= 0:
                    self._budgets[way] = None  # one cut for one order
                    self._reset()
                    return


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, as a process that is killed, and not with an orderly end."""
    connection = writer.get_extra_info("socket")
    with contextlib.suppress(OSError, AttributeError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
