"""Everybody who listens, and what is new handed out to those whom it concerns. In the event loop alone."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from config.event_stream import wire
from config.event_stream.listener import CLOSING, Listener
from config.event_stream.seats import Seats
from config.event_stream.wire import Told
from photos.audience import Audience

REACHED_AFTER = 0.05
# why somebody has to read anew
TOO_OLD, UNKNOWN_ID, ACCESS_CHANGED, RESTORED = "too_old", "unknown_id", "access_changed", "database_restored"


class Hub:
    """Who listens. `position` is that of the last event that was handed out; None before anything was read."""

    def __init__(self) -> None:
        self.seats = Seats()
        self.position: int | None = None
        # all streams, and of those that have been told all that is older: by library
        self.everybody: set[Listener] = set()
        self._live: defaultdict[UUID, set[Listener]] = defaultdict(set)

    def publish(self, batch: Sequence[Told], position: int) -> None:
        """Hand events out, the last of which has this position."""
        for one in batch:
            for listener in list(self._live.get(one.library_id, ())):
                if listener.hears(one):
                    listener.put(one.text)
        self.position = position

    def begin_anew(self, position: int) -> None:
        """Tell everybody that what they know may never have happened: the database was put back to an earlier time."""
        self.position = position
        for listener in self.everybody:
            listener.put(wire.reset(position, reason=RESTORED))

    async def has_reached(self, position: int, *, seconds: float) -> bool:
        """Wait until events were handed out up to a position; False where they are not after so many seconds."""
        deadline = time.monotonic() + seconds
        while self.position is None or self.position < position:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(REACHED_AFTER)
        return True

    def join(self, listener: Listener) -> None:
        """Hand events out to a listener from now on."""
        listener.is_live = True
        for library_id in listener.permitted:
            self._live[library_id].add(listener)

    def leave(self, listener: Listener) -> None:
        """Hand nothing more out to a listener; may be called more than once."""
        self.everybody.discard(listener)
        self._unjoin(listener)

    def move(self, listener: Listener, audience: Audience) -> None:
        """Go on with what a listener may hear of now, and tell it if that has changed: it has to read anew."""
        before, is_live = listener.permitted, listener.is_live
        self._unjoin(listener)
        # also an equal one: all streams of a person share theirs
        listener.audience = audience
        if is_live:
            self.join(listener)
        if listener.permitted != before:
            listener.put(wire.reset(self.position or 0, reason=ACCESS_CHANGED))

    def close(self) -> None:
        """End all streams, and let nobody in any more."""
        self.seats.close()
        for listener in list(self.everybody):
            listener.end(CLOSING)

    def _unjoin(self, listener: Listener) -> None:
        listener.is_live = False
        for library_id in listener.permitted:
            live = self._live.get(library_id)
            if live is not None:
                live.discard(listener)
                if not live:
                    del self._live[library_id]
