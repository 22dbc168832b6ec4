"""Tickets: what opens a stream of events once, for those who cannot send a header, as a browser's EventSource.

A ticket stands in an address, and addresses are written down on the way: so it works once, and for a minute. It is kept
where counts of requests are, as a digest, and is lost with them: whoever holds a lost one asks for another.
"""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts.digests import digest
from accounts.services.credentials import Credential

TICKET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket that was just made, and when it ends if nobody uses it."""

    text: str = field(repr=False)
    expires_at: datetime


@sensitive_variables("text")
def issue(*, credential: Credential) -> Ticket:
    """Make a ticket that stands for a credential; what it opens ends when that does."""
    text = secrets.token_urlsafe(TICKET_BYTES)
    lifetime = settings.EVENTS_TICKET_SECONDS
    cache.set(_key(text), credential, timeout=lifetime)
    return Ticket(text=text, expires_at=timezone.now() + timedelta(seconds=lifetime))


@sensitive_variables("text")
def take(*, text: str) -> Credential | None:
    """Use a ticket up; gives what it stands for, None where it is none, has run out or was used."""
    key = _key(text)
    credential = cache.get(key)
    # of two who come with it at once one deletes it
    return credential if credential is not None and cache.delete(key) else None


def _key(text: str) -> str:
    return f"ticket:{digest(text)}"
