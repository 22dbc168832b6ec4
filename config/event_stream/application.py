"""The ASGI application: lets listeners in by threads, and sends them what happens from one event loop."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from django.conf import settings
from django.http.response import HttpResponseBase

from config.event_stream import metrics
from config.event_stream.checks import keep_checking
from config.event_stream.feed import Feed
from config.event_stream.hub import Hub
from config.event_stream.listener import GONE, Listener
from config.event_stream.requests import Answerer
from config.event_stream.telling import said_to
from config.event_stream.views import Opening

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Result = TypeVar("Result")

LIVE = (200, [(b"content-type", b"application/json"), (b"cache-control", b"no-store")], b'{"status": "ok"}')
# a stream is the last that is said on its connection
CLOSE = (b"connection", b"close")


class Application:
    """Serves GET /api/v1/events, and /live. Everything that may block runs in EVENTS_THREADS threads."""

    def __init__(self) -> None:
        self.hub = Hub()
        self._answer = Answerer(self.hub)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or begin and end with the server."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["path"] == "/live":
            await _respond(send, *LIVE)
        else:
            await self._serve(scope, receive, send)

    def close(self) -> None:
        """End all streams, so that the server can end; may be called by a signal handler, and before it has begun."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.hub.close)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        loop = self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(settings.EVENTS_THREADS, thread_name_prefix="events")
        feed = Feed(
            publish=partial(loop.call_soon_threadsafe, self.hub.publish),
            begin_anew=partial(loop.call_soon_threadsafe, self.hub.begin_anew),
        )
        feed.start()
        checks = loop.create_task(keep_checking(self.hub, self._in_thread))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.hub.close()
        checks.cancel()
        feed.stop()
        await loop.run_in_executor(self._threads, feed.join)
        self._threads.shutdown(cancel_futures=True)
        await send({"type": "lifespan.shutdown.complete"})

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await self._loop.run_in_executor(self._threads, work)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._in_thread(partial(self._answer, scope))
        if not isinstance(response, Opening):
            await _respond(send, response.status_code, _headers(response), response.content)
            return
        listener = response.listener
        try:
            headers = [*_headers(response), CLOSE]
            if scope["method"] == "HEAD":
                await _respond(send, response.status_code, headers, b"")
            else:
                transport = scope.get("state", {}).get("transport")
                listener.cut_off = None if transport is None else transport.abort
                await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
                await self._stream(listener, receive, send)
        finally:
            listener.leave()

    async def _stream(self, listener: Listener, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(_wait_until_gone(receive, listener))
        self.hub.everybody.add(listener)
        metrics.LISTENERS.inc()
        try:
            async for text in said_to(listener, self.hub, self._in_thread):
                await send({"type": "http.response.body", "body": text, "more_body": True})
            await send({"type": "http.response.body", "body": listener.farewell()})
        finally:
            self.hub.leave(listener)
            gone.cancel()
            metrics.LISTENERS.dec()
            metrics.ENDED.labels(listener.ended or GONE).inc()


async def _wait_until_gone(receive: Receive, listener: Listener) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass  # a body that nobody asked for
    listener.end(GONE)


async def _respond(send: Send, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


def _headers(response: HttpResponseBase) -> list[tuple[bytes, bytes]]:
    headers = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in response.items()]
    return headers + [(b"set-cookie", one.output(header="").strip().encode()) for one in response.cookies.values()]
