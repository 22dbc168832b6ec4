"""A process of events for the tests of a module, and somebody who may listen."""

import os
from collections.abc import Iterator

import event_streams
import factories
import pytest
from event_streams import QUICK, EventsProcess

from accounts.models import Library, User


@pytest.fixture(scope="module")
def process(
    environment_of_processes: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EventsProcess]:
    """One for the tests of a module, which asks often whether somebody may go on."""
    folder = tmp_path_factory.mktemp("events")
    with event_streams.running(os.environ | environment_of_processes | QUICK, folder) as running:
        yield running
        for stream in running.streams:
            stream.close()


@pytest.fixture
def library(transactional_db: None) -> Library:
    """A library."""
    return factories.make_library()


@pytest.fixture
def member(library: Library) -> User:
    """Somebody who may look, and no more."""
    return factories.make_member(library, "visitor")
