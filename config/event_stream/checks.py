"""Asking again, while streams are open, whether those who listen may go on."""

import asyncio
import logging
import time
from collections.abc import Sequence
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, InterfaceError

from accounts.problems import NotAuthenticatedError
from accounts.services import credentials
from config.event_stream.hub import Hub
from config.event_stream.listener import CLOSING, CREDENTIAL_ENDED, Listener
from config.event_stream.threads import InThread, with_connection
from photos.audience import Audience, audience_of

logger = logging.getLogger(__name__)

CHECKED_AT_ONCE = 20
LOOKED_EVERY_SECONDS = 1.0
# what a check may be late by, so that EVENTS_CHECK_SECONDS is a promise
AHEAD_SECONDS = 3.0


async def keep_checking(hub: Hub, in_thread: InThread) -> None:
    """Check every listener again every EVENTS_CHECK_SECONDS. While the database is away nobody can be, and all stay."""
    while True:
        await asyncio.sleep(LOOKED_EVERY_SECONDS)
        before = time.monotonic() - max(LOOKED_EVERY_SECONDS, settings.EVENTS_CHECK_SECONDS - AHEAD_SECONDS)
        due = [listener for listener in hub.everybody if listener.checked_at <= before]
        for start in range(0, len(due), CHECKED_AT_ONCE):
            some = due[start : start + CHECKED_AT_ONCE]
            try:
                found = await in_thread(partial(with_connection, partial(_check, some)))
            except (DatabaseError, InterfaceError) as error:
                logger.warning("whether %d listeners may go on cannot be asked: %s", len(some), error)
                break
            except Exception:
                # nobody knows whether they may: whoever may comes back
                logger.exception("whether %d listeners may go on was not found out, so they may not", len(some))
                for listener in some:
                    listener.end(CLOSING)
                continue
            for listener, audience in zip(some, found, strict=True):
                _apply(hub, listener, audience)


def _apply(hub: Hub, listener: Listener, audience: Audience | None) -> None:
    listener.checked_at = time.monotonic()
    if audience is None:
        listener.end(CREDENTIAL_ENDED)
    elif not listener.ended:
        hub.move(listener, audience)


def _check(listeners: Sequence[Listener]) -> list[Audience | None]:
    """Give what each may hear of now; None for those who may not go on."""
    of_whom: dict[tuple[UUID, UUID | None], Audience] = {}
    found: list[Audience | None] = []
    for listener in listeners:
        credential = listener.credential
        try:
            user = credentials.owner_of(credential=credential)
        except NotAuthenticatedError:
            found.append(None)
            continue
        who = (user.pk, credential.key_id)
        if who not in of_whom:
            of_whom[who] = audience_of(user)
        found.append(of_whom[who])
    return found
