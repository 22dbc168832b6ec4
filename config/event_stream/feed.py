"""Reading what is new: one thread and one database connection for everybody who listens."""

import logging
import select
import threading
import time
from collections.abc import Callable, Sequence

from django.conf import settings
from django.db import connection

from config.event_stream import metrics
from config.event_stream.wire import Told, told
from photos.models import Event
from photos.services import events

logger = logging.getLogger(__name__)

READ_AT_ONCE = 1000
LARGEST = 2**63 - 1
# between two reads: under load each has many events, and a hint is answered at once all the same
PAUSE_SECONDS = 0.05
AGAIN_AFTER_SECONDS = 1.0


class Feed(threading.Thread):
    """Waits for hints, gives committed events their position, and passes them on in that order, each once.

    Looks by itself every EVENTS_POLL_SECONDS, since a hint may be lost. While the database is away it tries again and
    again, and goes on where it was.
    """

    def __init__(self, *, publish: Callable[[Sequence[Told], int], None], begin_anew: Callable[[int], None]) -> None:
        super().__init__(name="event-feed", daemon=True)
        self._publish = publish
        self._begin_anew = begin_anew
        self._position: int | None = None
        self._stop_asked = threading.Event()
        self._is_away = False

    def run(self) -> None:
        """Read until `stop`."""
        while not self._stop_asked.is_set():
            try:
                self._follow()
            except Exception as error:  # noqa: BLE001 - whatever it is, those who listen wait for the next try
                self._note_trouble(error)
            connection.close()
            self._stop_asked.wait(AGAIN_AFTER_SECONDS)

    def stop(self) -> None:
        """End within a second or so."""
        self._stop_asked.set()

    def _follow(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {events.CHANNEL}")
        self._find_place()
        while not self._stop_asked.is_set():
            events.give_positions()
            self._read()
            metrics.FEED_UP.set(1)
            if self._is_away:
                self._is_away = False
                logger.warning("events are read again")
            self._wait()

    def _find_place(self) -> None:
        last = events.last_position()
        if self._position is None:
            self._publish([], last)
        elif last < self._position:
            logger.warning("the database was put back: its last event was %d, and is %d", self._position, last)
            self._begin_anew(last)
        else:
            return
        self._position = last

    def _read(self) -> None:
        while not self._stop_asked.is_set():
            found = list(Event.objects.between(self._position, LARGEST)[:READ_AT_ONCE])
            if found:
                self._position = found[-1].position
                self._publish([told(event) for event in found], self._position)
                metrics.READ.inc(len(found))
                metrics.DELAY.observe(max(0.0, time.time() - found[0].created_at.timestamp()))
            if len(found) < READ_AT_ONCE:
                return

    def _wait(self) -> None:
        self._stop_asked.wait(PAUSE_SECONDS)
        raw = connection.connection
        # not select(), which knows no more than 1024 files: listeners may have taken them
        hint = select.poll()
        hint.register(raw, select.POLLIN)
        hint.poll(settings.EVENTS_POLL_SECONDS * 1000)
        raw.poll()
        raw.notifies.clear()

    def _note_trouble(self, error: Exception) -> None:
        metrics.FEED_UP.set(0)
        # once, and not every second
        if not self._is_away:
            self._is_away = True
            logger.warning("events cannot be read, and those who listen wait: %s", error, exc_info=error)
