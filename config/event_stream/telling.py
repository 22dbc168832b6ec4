"""What one listener is told: all that it has missed, then what happens, and why it ends."""

import asyncio
import logging
from collections.abc import AsyncIterator
from functools import partial

from django.conf import settings
from django.db import DatabaseError, InterfaceError

from config.event_stream import missed, wire
from config.event_stream.hub import TOO_OLD, UNKNOWN_ID, Hub
from config.event_stream.listener import CREDENTIAL_ENDED, Listener
from config.event_stream.missed import Page
from config.event_stream.threads import InThread, with_connection

logger = logging.getLogger(__name__)

# another process may have told of an event that this one is about to read
OTHERS_AHEAD_SECONDS = 3.0
DATABASE_AWAY_SECONDS = 2.0
STARTING_SECONDS = 0.1


async def said_to(listener: Listener, hub: Hub, in_thread: InThread) -> AsyncIterator[bytes]:
    """Give what a listener is told, until it ends."""
    yield wire.opening()
    async for text in _missed(listener, hub, in_thread):
        yield text
    said = hub.position
    while not listener.ended:
        text = await listener.take(seconds=max(0.0, min(settings.EVENTS_HEARTBEAT_SECONDS, listener.seconds_left)))
        if listener.seconds_left <= 0:
            listener.end(CREDENTIAL_ENDED)
        if not text and hub.position != said:
            # nothing waits, so all that was handed out has been told: who comes back goes on from here
            said = hub.position
            text = wire.reached(said)
        yield text or wire.HEARTBEAT


async def _missed(listener: Listener, hub: Hub, in_thread: InThread) -> AsyncIterator[bytes]:
    """Give what a listener has missed, and let it join at the moment at which nothing of that is left."""
    while hub.position is None and not listener.ended:
        await asyncio.sleep(STARTING_SECONDS)
    after = listener.wanted.after
    if after is not None and not await hub.has_reached(after, seconds=OTHERS_AHEAD_SECONDS):
        after = hub.position
        yield wire.reset(after, reason=UNKNOWN_ID)
    while after is not None and after < hub.position and not listener.ended:
        page = await _page(listener, in_thread, after=after, until=hub.position)
        if page is None:
            yield wire.HEARTBEAT
            await asyncio.sleep(DATABASE_AWAY_SECONDS)
        elif not page.is_whole:
            after = hub.position
            yield wire.reset(after, reason=TOO_OLD)
        else:
            after = page.until
            yield b"".join(one.text for one in page.events) or wire.HEARTBEAT
    if not listener.ended:
        # nothing was awaited since the position was looked at, and nothing is handed out in between
        hub.join(listener)
        yield wire.listening(hub.position)


async def _page(listener: Listener, in_thread: InThread, *, after: int, until: int) -> Page | None:
    """Read a page of what was missed; None where the database is away."""
    libraries = list(listener.permitted)
    read = partial(missed.read_page, after=after, until=until, libraries=libraries, hears=listener.hears)
    try:
        return await in_thread(partial(with_connection, read))
    except (DatabaseError, InterfaceError) as error:
        logger.warning("what a listener has missed cannot be read: %s", error)
        return None
