"""A thousand who listen and one who does not read: what they cost, and what they keep from others."""

import asyncio
import contextlib
import resource
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import event_streams
import factories
import psutil
import pytest
from django.conf import settings
from django.db import transaction
from event_streams import QUICK, EventsProcess, bearer, key, numbers, tell, wait_for_number

from accounts.models import Library, User
from photos.models import Event, EventKind
from photos.services import events

pytestmark = pytest.mark.django_db(transaction=True)

LISTENERS = 1000
AT_ONCE = 40
MIB = 1024 * 1024
# of one who does nothing: a connection, its two tasks and its buffers
MOST_BYTES_PER_LISTENER = 60 * 1024
# three that let people in, and one that reads for all
MOST_DATABASE_CONNECTIONS = 4
MOST_THREADS = 8


def database_connections(process: psutil.Process) -> int:
    port = int(settings.DATABASES["default"]["PORT"])
    return sum(1 for one in process.net_connections("tcp") if one.raddr and one.raddr.port == port)


@contextlib.asynccontextmanager
async def listening(url: str, headers: dict[str, str]) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Open a thousand streams, some at a time, each up to its first id."""
    address, opened = urlsplit(url), asyncio.Semaphore(AT_ONCE)
    said = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writers = []

    async def open_one() -> asyncio.StreamReader:
        async with opened:
            reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=2**14)
            writers.append(writer)
            writer.write(f"GET /api/v1/events HTTP/1.1\r\nHost: {address.netloc}\r\n{said}\r\n".encode())
            status = await reader.readline()
            assert b" 200 " in status, status
            await reader.readuntil(b"\nid: ")
            return reader

    try:
        yield await asyncio.gather(*(open_one() for _ in range(LISTENERS)))
    finally:
        for writer in writers:
            writer.transport.abort()


def test_a_thousand_idle_listeners_cost_little(
    process_environment: dict[str, str], tmp_path: Path, library: Library, member: User
) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    limits = {"EVENTS_LISTENERS_PER_USER": "2000", "EVENTS_LISTENERS_PER_ADDRESS": "2000"}
    # with the default heartbeat and checks of access, as an operator has them
    with event_streams.running(process_environment | limits, tmp_path) as running:
        running.listen(bearer(member)).wait_until_open().close()
        before, headers = running.process.memory_info().rss, key(member, "photos.view")

        async def story() -> tuple[int, float, float, float]:
            opening = time.monotonic()
            async with listening(running.url, headers) as readers:
                opened, idle = time.monotonic() - opening, running.process.memory_info().rss
                assert database_connections(running.process) <= MOST_DATABASE_CONNECTIONS
                assert running.process.num_threads() <= MOST_THREADS
                begun, spent = time.monotonic(), sum(running.process.cpu_times()[:2])
                await asyncio.sleep(5)
                share = (sum(running.process.cpu_times()[:2]) - spent) / (time.monotonic() - begun)
                begun = time.monotonic()
                await asyncio.to_thread(tell, library, "to all")
                told = await asyncio.wait_for(
                    asyncio.gather(*(reader.readuntil(b'"number": "to all"') for reader in readers)), 60
                )
                assert len(told) == LISTENERS
                return idle - before, opened, share, time.monotonic() - begun

        taken, opened, share, seconds = asyncio.run(story())
        print(  # noqa: T201 - what docs/events.md says
            f"\n{LISTENERS} listeners: {taken / LISTENERS / 1024:.0f} KiB each, opened in {opened:.1f} s, "
            f"{share:.1%} of a processor, an event reached all in {seconds:.2f} s"
        )
        assert taken / LISTENERS <= MOST_BYTES_PER_LISTENER
        assert database_connections(running.process) <= MOST_DATABASE_CONNECTIONS
        # and all of their seats are free again
        deadline = time.monotonic() + 20
        while (stream := running.listen(bearer(member))).response.status_code == 429:
            assert time.monotonic() < deadline
        stream.wait_until_open()


def test_nobody_opens_more_streams_than_anybody_may(
    process_environment: dict[str, str], tmp_path: Path, library: Library, member: User
) -> None:
    limits = {"EVENTS_LISTENERS_PER_USER": "2", "EVENTS_LISTENERS_PER_ADDRESS": "5", "EVENTS_LISTENERS": "6"}
    with event_streams.running(process_environment | QUICK | limits, tmp_path) as running:

        def refusal(headers: dict[str, str]) -> tuple[int, str]:
            answer = running.listen(headers).response
            return answer.status_code, answer.json()["code"]

        streams = [running.listen(bearer(member)).wait_until_open() for _ in range(2)]
        assert refusal(bearer(member)) == (429, "too_many_listeners")
        # a key counts by itself, as its requests do
        streams += [running.listen(key(member, "photos.view")).wait_until_open()]
        streams += [running.listen(bearer(factories.make_user())).wait_until_open() for _ in range(2)]
        assert refusal(bearer(factories.make_user())) == (429, "too_many_listeners")
        streams[0].close()
        deadline = time.monotonic() + 10
        while running.listen(bearer(member)).response.status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        tell(library, 1)
        wait_for_number(streams[1], 1)


def test_a_full_process_says_so(
    process_environment: dict[str, str], tmp_path: Path, library: Library, member: User
) -> None:
    with event_streams.running(process_environment | QUICK | {"EVENTS_LISTENERS": "1"}, tmp_path) as running:
        running.listen(bearer(member)).wait_until_open()
        answer = running.listen(bearer(member)).response
        assert (answer.status_code, answer.json()["code"]) == (503, "events_full")


def test_who_does_not_read_is_cut_off_and_loses_nothing(
    process_environment: dict[str, str], tmp_path: Path, library: Library, member: User
) -> None:
    count, kilobytes = 600, 20
    headers = bearer(member)
    start = events.last_position()
    with event_streams.running(process_environment | QUICK | {"EVENTS_WAITING": "50"}, tmp_path) as running:
        address = urlsplit(running.url)
        with socket.socket() as stuck:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.connect((address.hostname, address.port))
            said = f"GET /api/v1/events HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: "
            stuck.sendall(f"{said}{headers['Authorization']}\r\n\r\n".encode())
            assert b" 200 " in stuck.recv(64)
            reads = running.listen(headers).wait_until_open()
            before = running.process.memory_info().rss
            for number in range(count):
                payload = {"number": number, "filling": kilobytes * 1024 * "x"}
                with transaction.atomic():
                    told = Event(kind=EventKind.LIBRARY_CHANGED, library_id=library.pk, payload=payload)
                    events.record(events=[told])
                if number % 20 == 0:
                    wait_for_number(reads, number)
            wait_for_number(reads, count - 1)
            assert numbers(reads) == list(range(count))
            grown = running.process.memory_info().rss - before
            # what it did not take is not kept for it
            assert grown < count * kilobytes * 1024
            assert was_cut_off(stuck)
        back = running.listen({**headers, "Last-Event-ID": str(start)})
        wait_for_number(back, count - 1)
        assert numbers(back) == list(range(count))


def was_cut_off(connection: socket.socket) -> bool:
    """Read what is left, which ends without the end of a stream."""
    connection.settimeout(10)
    came = b""
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(2**16):
            came += data
    # the last chunk of an answer is one of nothing
    return b'"number": 0,' in came and not came.endswith(b"0\r\n\r\n")


def test_a_burst_is_told_whole(process: EventsProcess, library: Library, member: User) -> None:
    streams = [process.listen(bearer(member)).wait_until_open() for _ in range(3)]
    tell(library, *range(3000))
    for stream in streams:
        stream.wait_for(lambda one: len(one.heard) >= 3000)
        assert numbers(stream) == list(range(3000))
