"""One who listens: what is wanted and permitted, what waits to be sent, and how it ends."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

from django.conf import settings

from accounts.services.credentials import Credential
from config.event_stream import wire
from config.event_stream.wire import Told
from gallery.api.events import Wanted
from photos.audience import Audience

# why a stream ends
CREDENTIAL_ENDED, CLOSING, SLOW, GONE = "credential_ended", "closing", "slow", "gone"
# of what waits: the texts are everybody's, and what is joined for sending is one listener's own
TAKEN_AT_ONCE = 200
# for the last words to a client
PATIENCE_SECONDS = 5.0


class Listener:
    """An open stream. Made in any thread, used in the event loop alone."""

    __slots__ = (
        "_come", "_waiting", "audience", "checked_at", "credential", "cut_off", "ended", "is_live", "leave", "wanted",
    )  # fmt: skip

    def __init__(
        self, *, credential: Credential, audience: Audience, wanted: Wanted, leave: Callable[[], None]
    ) -> None:
        self.credential = credential
        self.audience = audience
        self.wanted = wanted
        # gives its seat back
        self.leave = leave
        # of the monotonic clock
        self.checked_at = time.monotonic()
        self.ended = ""
        # whether it is told what is new: not before it has been told what is older
        self.is_live = False
        # ends a connection whose client reads nothing
        self.cut_off: Callable[[], None] | None = None
        self._waiting: deque[bytes] = deque()
        self._come = asyncio.Event()

    @property
    def permitted(self) -> dict[UUID, frozenset[str]]:
        """The libraries of which it may be told something, and what is held there."""
        libraries, only = self.audience.libraries, self.wanted.libraries
        if only is None:
            return dict(libraries)
        return {library_id: libraries[library_id] for library_id in only if library_id in libraries}

    def hears(self, one: Told) -> bool:
        """Whether an event is told here."""
        wanted = self.wanted
        return (
            (wanted.kinds is None or one.kind in wanted.kinds)
            and (wanted.photos is None or one.photo_id in wanted.photos)
            and (wanted.libraries is None or one.library_id in wanted.libraries)
            and self.audience.hears(kind=one.kind, library_id=one.library_id, is_hidden=one.is_hidden)
        )

    def put(self, text: bytes) -> None:
        """Have something sent. Who lets too much wait is cut off: what was not sent is told at the next visit."""
        if self.ended:
            return
        if len(self._waiting) >= settings.EVENTS_WAITING:
            self.end(SLOW)
            return
        self._waiting.append(text)
        self._come.set()

    def end(self, reason: str) -> None:
        """End the stream; the first reason counts."""
        if self.ended:
            return
        self.ended = reason
        self._waiting.clear()
        self._come.set()
        if self.cut_off is not None:
            # one that reads nothing would not let go by itself
            patience = 0.0 if reason == SLOW else PATIENCE_SECONDS
            asyncio.get_running_loop().call_later(patience, self.cut_off)

    async def take(self, *, seconds: float) -> bytes:
        """Give what waits, some of it where it is much; nothing after so many seconds, or when it ends."""
        if not self._waiting and not self.ended:
            self._come.clear()
            # something may come in the moment in which the time is over, so what waits decides
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._come.wait()
        count = min(len(self._waiting), TAKEN_AT_ONCE)
        return b"".join(self._waiting.popleft() for _ in range(count))

    @property
    def seconds_left(self) -> float:
        """Time until what opened it runs out."""
        expires_at = self.credential.expires_at
        return float("inf") if expires_at is None else expires_at - time.time()

    def farewell(self) -> bytes:
        """Give the last that is said."""
        return wire.end(reason=self.ended)
