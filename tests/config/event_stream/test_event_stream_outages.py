"""While the database is away: those who listen stay, and are told everything when it is back."""

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import event_streams
import pytest
from django.db import connection
from event_streams import QUICK, EventsProcess, bearer, numbers, tell, wait_for_number
from faults.proxy import PASS, Mode, Proxy

from accounts.models import Library, Membership, User
from photos.models import Event

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def proxy(process_environment: dict[str, str]) -> Iterator[Proxy]:
    """What stands between the process and its database."""
    address = urlsplit(process_environment["DATABASE_URL"])
    between = Proxy("database", address.hostname, address.port)
    yield between
    between.close()


@pytest.fixture
def behind(process_environment: dict[str, str], proxy: Proxy, tmp_path: Path) -> Iterator[EventsProcess]:
    """A process whose database can be taken away."""
    address = urlsplit(process_environment["DATABASE_URL"])
    user = address.netloc.rpartition("@")[0]
    url = address._replace(netloc=f"{user}@127.0.0.1:{proxy.port}").geturl()
    with event_streams.running(process_environment | QUICK | {"DATABASE_URL": url}, tmp_path) as running:
        yield running


def test_a_restart_of_the_database_is_outlived(
    behind: EventsProcess, proxy: Proxy, library: Library, member: User
) -> None:
    headers = bearer(member)
    stream = behind.listen(headers).wait_until_open()
    tell(library, 1)
    wait_for_number(stream, 1)

    proxy.set(Mode(refuse=True))
    tell(library, 2, 3)
    comments = stream.comments
    time.sleep(4)  # longer than a check of access comes round, and several tries of the feed
    assert stream.comments >= comments + 4
    assert (numbers(stream), stream.has_ended.is_set()) == ([1], False)
    refused = behind.listen(headers).response
    assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
    assert int(refused.headers["Retry-After"]) > 0

    proxy.set(PASS)
    wait_for_number(stream, 3)
    assert numbers(stream) == [1, 2, 3]
    # whose access ended meanwhile is found out now
    Membership.objects.all().delete()
    stream.wait_for(lambda one: one.kinds[-1] == "reset")
    tell(library, 4)
    time.sleep(1)
    assert numbers(stream) == [1, 2, 3]
    log = behind.log.read_text()
    assert log.count("events cannot be read") == 1
    assert log.count("events are read again") == 1


def test_a_database_that_was_put_back_is_noticed(
    behind: EventsProcess, proxy: Proxy, library: Library, member: User
) -> None:
    stream = behind.listen(bearer(member)).wait_until_open()
    tell(library, *range(5))
    wait_for_number(stream, 4)
    last = stream.heard[-1].id
    # as after a restore from a backup of a moment ago: rows and sequence are those of then
    Event.objects.filter(position__gt=last - 3).delete()
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval('photos_event_position', %s)", [last - 3])
    proxy.reset_connections()
    stream.wait_for(lambda one: one.kinds[-1] == "reset")
    assert (stream.heard[-1].id, stream.heard[-1].said["reason"]) == (last - 3, "database_restored")
    tell(library, "after")
    wait_for_number(stream, "after")
    assert stream.heard[-1].id == last - 2


def test_what_is_missed_is_read_when_the_database_is_back(
    behind: EventsProcess, proxy: Proxy, library: Library, member: User
) -> None:
    headers = bearer(member)
    stream = behind.listen(headers).wait_until_open()
    for number in range(5):
        tell(library, number)
    wait_for_number(stream, 4)
    # every connection breaks, again and again, while it comes back for what it has missed
    for _ in range(5):
        proxy.reset_connections()
        time.sleep(0.3)
    deadline = time.monotonic() + 20
    asked = {**headers, "Last-Event-ID": str(stream.heard[0].id)}
    while (back := behind.listen(asked)).response.status_code != 200:
        assert back.response.status_code == 503
        assert time.monotonic() < deadline
    wait_for_number(back, 4)
    tell(library, 5)
    for one in (stream, back):
        wait_for_number(one, 5)
    assert (numbers(stream), numbers(back)) == ([0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5])
