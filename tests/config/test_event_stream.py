"""The stream of events: a real process, a real database, and clients that listen."""

from collections.abc import Iterator
from pathlib import Path

import event_streams
import factories
import pytest
from django.db import transaction
from event_streams import EventsProcess

from accounts.models import Library, User
from accounts.services import tokens
from photos.models import Event, EventKind
from photos.services import events


@pytest.fixture
def process(process_environment: dict[str, str], tmp_path: Path) -> Iterator[EventsProcess]:
    with event_streams.running(process_environment, tmp_path) as running:
        yield running


@pytest.fixture
def library(transactional_db: None) -> Library:
    return factories.make_library()


@pytest.fixture
def member(library: Library) -> User:
    return factories.make_member(library, "visitor")


def bearer(user: User) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.begin(user=user).access}"}


def tell(library: Library, *, kind: str = EventKind.LIBRARY_CHANGED, **payload: object) -> None:
    with transaction.atomic():
        events.record(events=[Event(kind=kind, library_id=library.pk, payload=payload)])


def test_an_event_reaches_who_listens(process: EventsProcess, library: Library, member: User) -> None:
    stream = process.listen(bearer(member)).wait_until_open()
    tell(library, number=1)
    stream.wait_for(lambda one: len(one.heard) == 1)
    [heard] = stream.heard
    assert (heard.kind, heard.said["library"], heard.said["number"]) == ("library.changed", str(library.pk), 1)
    assert heard.id == Event.objects.get().position
