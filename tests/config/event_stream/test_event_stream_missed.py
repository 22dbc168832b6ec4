"""What a listener is told that was away: all that it has missed, in the same order, once; or that it is gone."""

import random
import time
from datetime import timedelta

import factories
import pytest
from concurrency import in_a_thread
from django.db import transaction
from django.utils import timezone
from event_streams import EventsProcess, bearer, numbers, tell, wait_for_number

from accounts.models import Library, User
from photos.models import Event, EventKind
from photos.services import events

pytestmark = pytest.mark.django_db(transaction=True)


def test_whoever_comes_back_is_told_what_was_missed(process: EventsProcess, library: Library, member: User) -> None:
    headers = bearer(member)
    stream = process.listen(headers).wait_until_open()
    tell(library, 1, 2, 3)
    wait_for_number(stream, 3)
    first = stream.heard[0].id
    stream.close()
    tell(library, 4, 5)
    for asked in ({"headers": {**headers, "Last-Event-ID": str(first)}}, {"headers": headers, "last_event_id": first}):
        back = process.listen(**asked)
        wait_for_number(back, 5)
        assert numbers(back) == [2, 3, 4, 5]
        assert [one.id for one in back.heard] == list(range(first + 1, first + 5))
        back.close()
    # the header goes first: a browser sends it when it comes back by itself, to the address that it was given
    back = process.listen({**headers, "Last-Event-ID": str(first + 3)}, last_event_id=first)
    wait_for_number(back, 5)
    assert numbers(back) == [5]


def test_without_an_id_it_is_told_what_happens_from_now_on(
    process: EventsProcess, library: Library, member: User
) -> None:
    tell(library, 1)
    stream = process.listen(bearer(member)).wait_until_open()
    tell(library, 2)
    wait_for_number(stream, 2)
    assert numbers(stream) == [2]


def test_somebody_elses_events_move_the_place_on(process: EventsProcess, library: Library, member: User) -> None:
    stream = process.listen(bearer(member)).wait_until_open()
    before = stream.last_id
    tell(factories.make_library(), 1, 2, 3)
    # said with a heartbeat: whoever listens to a quiet library has missed nothing after a day
    stream.wait_for(lambda one: one.last_id == before + 3)
    assert stream.heard == []


def test_what_is_not_kept_any_more_is_said_to_be_gone(process: EventsProcess, library: Library, member: User) -> None:
    headers = bearer(member)
    stream = process.listen(headers).wait_until_open()
    tell(library, 1, 2, 3)
    wait_for_number(stream, 3)
    first, last = stream.heard[0].id, stream.heard[-1].id
    Event.objects.filter(position=first + 1).update(created_at=timezone.now() - timedelta(days=2))
    Event.objects.filter(position=first).update(created_at=timezone.now() - timedelta(days=2))
    assert events.prune() == 2
    back = process.listen({**headers, "Last-Event-ID": str(first)})
    back.wait_for(lambda one: one.heard)
    assert [(one.kind, one.id, one.said["reason"]) for one in back.heard] == [("reset", last, "too_old")]
    # the last that it has read is the one before the first that is kept: nothing is missing
    whole = process.listen({**headers, "Last-Event-ID": str(first + 1)})
    wait_for_number(whole, 3)
    assert whole.kinds == ["library.changed"]
    Event.objects.all().delete()
    empty = process.listen({**headers, "Last-Event-ID": str(last - 1)})
    empty.wait_for(lambda one: one.heard)
    assert (empty.heard[0].kind, empty.heard[0].said["reason"]) == ("reset", "too_old")
    tell(library, 4)
    for one in (back, empty):
        wait_for_number(one, 4)


def test_an_id_that_was_never_given_is_no_place_to_go_on_from(
    process: EventsProcess, library: Library, member: User
) -> None:
    stream = process.listen({**bearer(member), "Last-Event-ID": str(10**15)})
    stream.wait_for(lambda one: one.heard)
    assert (stream.heard[0].kind, stream.heard[0].said["reason"]) == ("reset", "unknown_id")
    tell(library, 1)
    wait_for_number(stream, 1)


def test_listeners_that_come_and_go_lose_nothing_and_double_nothing(
    process: EventsProcess, library: Library, member: User
) -> None:
    """Writers at once, of transactions of any length; listeners that hang up at any moment and come back."""
    headers, foreign = bearer(member), factories.make_library()
    writers, each = 4, 60
    committed: list[list[int]] = [[] for _ in range(writers)]

    def write(place: int) -> None:
        chance = random.Random(place)
        for number in range(each):
            is_given_up = chance.random() < 0.2
            with transaction.atomic():
                told = Event(kind=EventKind.LIBRARY_CHANGED, library_id=library.pk, payload={"number": [place, number]})
                events.record(events=[told, Event(kind=EventKind.LIBRARY_CHANGED, library_id=foreign.pk)])
                time.sleep(chance.choice([0, 0.005, 0.05]))
                transaction.set_rollback(is_given_up)
            if not is_given_up:
                committed[place].append(number)
        tell(library, f"writer {place} has ended")

    def listen(place: int, start: int) -> list[object]:
        chance, heard, after = random.Random(-place), [], start
        endings = {f"writer {one} has ended" for one in range(writers)}
        while not endings <= {number for number in heard if isinstance(number, str)}:
            stream = process.listen({**headers, "Last-Event-ID": str(after)})
            time.sleep(chance.uniform(0.05, 0.6))
            stream.close()
            assert stream.has_ended.wait(10)
            heard += numbers(stream)
            after = stream.last_id or after
        return heard

    start = events.last_position()
    listening = [in_a_thread(listen, place, start) for place in range(3)]
    writing = [in_a_thread(write, place) for place in range(writers)]
    for one in writing:
        one.result(60)
    expected = sorted([place, number] for place, done in enumerate(committed) for number in done)
    assert len(expected) > writers * each / 2
    for one in listening:
        heard = [number for number in one.result(60) if not isinstance(number, str)]
        assert sorted(heard) == expected
        for place, done in enumerate(committed):
            assert [number for of, number in heard if of == place] == done
