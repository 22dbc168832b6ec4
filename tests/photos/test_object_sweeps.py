"""Dates at which objects are looked at again: the earlier of two, the last of all, and in one pair of hands."""

from datetime import timedelta
from uuid import UUID

import pytest
from concurrency import in_a_thread, wait_until_blocked
from django.db import connection, transaction
from django.db.models import F
from pytest_django import Settings

from photos.models import ObjectSweep
from photos.services import object_sweeps
from photos.services.object_sweeps import TakenSweep

pytestmark = pytest.mark.django_db

REASON = ObjectSweep.Reason
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
KEY = "library/photo"


def prefix_of(number: int) -> str:
    return f"{UUID(int=1)}/{UUID(int=number)}/"


def seconds_from_now() -> dict[str, tuple[str, int, int]]:
    """What is asked for: {prefix: (reason, seconds until it is due, seconds until the last time)}."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        now = cursor.fetchone()[0]
    return {
        row.prefix: (row.reason, round((row.due_at - now).total_seconds()), round((row.final_at - now).total_seconds()))
        for row in ObjectSweep.objects.all()
    }


def take(limit: int = 10, *, lease: timedelta = MINUTE) -> list[TakenSweep]:
    return object_sweeps.take(limit=limit, lease=lease)


def test_a_second_request_moves_the_dates_of_the_first_apart(settings: Settings) -> None:
    object_sweeps.request(alias="originals", prefix=KEY, reason=REASON.UPLOAD, due_in=MINUTE, final_in=HOUR)
    assert seconds_from_now() == {KEY: ("upload", 60, 3600)}
    object_sweeps.request(alias="originals", prefix=KEY, reason=REASON.LOST, due_in=2 * MINUTE, final_in=2 * HOUR)
    assert seconds_from_now() == {KEY: ("lost", 60, 7200)}
    object_sweeps.request(alias="originals", prefix=KEY, reason=REASON.PURGED, final_in=MINUTE)
    assert seconds_from_now() == {KEY: ("purged", 0, 7200)}

    object_sweeps.request(alias="renditions", prefix=KEY, reason=REASON.PURGED, due_in=HOUR, final_in=MINUTE)
    assert ObjectSweep.objects.filter(alias="renditions", due_at=F("final_at")).count() == 1

    settings.OBJECT_SWEEP_AGAIN_SECONDS = 77
    object_sweeps.request(alias="renditions", prefix=prefix_of(2), reason=REASON.REPLACED)
    assert seconds_from_now()[prefix_of(2)] == ("replaced", 0, 77)


def test_many_are_asked_for_at_once() -> None:
    object_sweeps.request(alias="renditions", prefix=prefix_of(3), reason=REASON.LOST, due_in=HOUR, final_in=HOUR)
    wanted = [("renditions", prefix_of(number)) for number in (3, 1, 2, 3)] + [("originals", KEY)]
    object_sweeps.request_all(sweeps=wanted, reason=REASON.PURGED, final_in=MINUTE)
    assert seconds_from_now() == {
        prefix_of(1): ("purged", 0, 60),
        prefix_of(2): ("purged", 0, 60),
        prefix_of(3): ("purged", 0, 3600),
        KEY: ("purged", 0, 60),
    }
    object_sweeps.request_all(sweeps=[], reason=REASON.PURGED)
    assert ObjectSweep.objects.count() == 4


@pytest.mark.parametrize("prefix", ["/", "a/b/", f"{UUID(int=1)}/", f"{UUID(int=1)}/{UUID(int=2)}/face/"])
def test_a_prefix_that_is_no_photos_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match=r"prefix|unpack|hexadecimal"):
        object_sweeps.request(alias="renditions", prefix=prefix, reason=REASON.LOST)
    assert ObjectSweep.objects.count() == 0


def test_what_is_called_off_is_gone_unless_it_was_taken_up() -> None:
    object_sweeps.request(alias="originals", prefix=KEY, reason=REASON.UPLOAD)
    assert not object_sweeps.cancel(alias="renditions", prefix=KEY)
    assert not object_sweeps.cancel(alias="originals", prefix=KEY + "x")
    assert object_sweeps.cancel(alias="originals", prefix=KEY)
    assert not object_sweeps.cancel(alias="originals", prefix=KEY)
    assert ObjectSweep.objects.count() == 0

    object_sweeps.request(alias="originals", prefix=KEY, reason=REASON.UPLOAD)
    [taken] = take()
    assert not object_sweeps.cancel(alias="originals", prefix=KEY)
    # nor afterwards, while it waits for its last time: its object may be gone
    assert object_sweeps.finish(taken)
    assert not object_sweeps.cancel(alias="originals", prefix=KEY)
    assert ObjectSweep.objects.count() == 1


def test_the_oldest_that_are_due_are_taken_first(settings: Settings) -> None:
    for number in range(4):
        object_sweeps.request(alias="renditions", prefix=prefix_of(number), reason=REASON.LOST)
        ObjectSweep.objects.filter(prefix=prefix_of(number)).update(due_at=F("due_at") - number * SECOND)
    object_sweeps.request(alias="renditions", prefix=prefix_of(9), reason=REASON.LOST, due_in=SECOND)
    assert {taken.prefix for taken in take(limit=2)} == {prefix_of(3), prefix_of(2)}
    assert {taken.prefix for taken in take()} == {prefix_of(1), prefix_of(0)}
    assert take() == []


def test_a_prefix_is_swept_twice_and_then_forgotten() -> None:
    object_sweeps.request(alias="renditions", prefix=prefix_of(1), reason=REASON.PURGED, final_in=HOUR)
    [taken] = take()
    assert (taken.alias, taken.prefix, taken.reason, taken.is_final) == ("renditions", prefix_of(1), "purged", False)
    assert object_sweeps.finish(taken)
    assert seconds_from_now() == {prefix_of(1): ("purged", 3600, 3600)}
    assert take() == []

    ObjectSweep.objects.update(due_at=F("due_at") - HOUR, final_at=F("final_at") - HOUR)
    [again] = take()
    assert again.is_final
    assert object_sweeps.finish(again)
    assert ObjectSweep.objects.count() == 0
    assert not object_sweeps.finish(again)


def test_who_dies_with_a_sweep_in_hand_leaves_it_to_others() -> None:
    object_sweeps.request(alias="renditions", prefix=prefix_of(1), reason=REASON.PURGED, final_in=SECOND)
    [dead] = take()
    assert take() == []
    ObjectSweep.objects.update(due_at=F("due_at") - MINUTE, final_at=F("final_at") - MINUTE)
    # the clock of a transaction stands still, so that the same lease would end at the same time
    [again] = take(lease=2 * MINUTE)
    assert (again.id, again.is_final) == (dead.id, True)
    # the first one was only slow
    assert not object_sweeps.finish(dead)
    assert not object_sweeps.put_off(dead, wait=HOUR)
    assert object_sweeps.finish(again)
    assert ObjectSweep.objects.count() == 0


def test_what_cannot_be_done_now_is_done_later_and_its_last_time_with_it() -> None:
    for number, final_in in ((1, HOUR), (2, SECOND)):
        object_sweeps.request(alias="renditions", prefix=prefix_of(number), reason=REASON.LOST, final_in=final_in)
    for taken in take():
        assert object_sweeps.put_off(taken, wait=MINUTE)
    assert seconds_from_now() == {prefix_of(1): ("lost", 60, 3600), prefix_of(2): ("lost", 60, 60)}


def test_it_is_known_for_how_long_one_is_being_tried() -> None:
    object_sweeps.request(alias="originals", prefix=KEY, reason=REASON.UPLOAD)
    [taken] = take()
    assert taken.tried_for == timedelta(0)
    assert object_sweeps.put_off(taken, wait=MINUTE)
    ObjectSweep.objects.update(due_at=F("due_at") - HOUR, taken_at=F("taken_at") - HOUR)
    [taken] = take()
    assert taken.tried_for == HOUR
    assert object_sweeps.put_off(taken, wait=MINUTE)


@pytest.mark.parametrize("end", ["finish", "put_off"])
def test_what_is_asked_for_during_a_sweep_is_swept_again(end: str) -> None:
    object_sweeps.request(alias="renditions", prefix=prefix_of(1), reason=REASON.LOST, final_in=HOUR)
    [taken] = take()
    object_sweeps.request(alias="renditions", prefix=prefix_of(1), reason=REASON.FACES_OFF, final_in=2 * HOUR)
    ended = object_sweeps.finish(taken) if end == "finish" else object_sweeps.put_off(taken, wait=MINUTE)
    assert not ended
    assert seconds_from_now() == {prefix_of(1): ("faces_off", 0, 7200)}


@pytest.mark.django_db(transaction=True)
def test_a_sweep_is_in_one_pair_of_hands() -> None:
    for number in range(20):
        object_sweeps.request(alias="renditions", prefix=prefix_of(number), reason=REASON.LOST)
    with transaction.atomic():
        mine = take(limit=5)
        others = [in_a_thread(take, 5) for _ in range(3)]
        taken = [one.prefix for future in others for one in future.result(10)]
    taken += [one.prefix for one in mine]
    assert sorted(taken) == sorted(prefix_of(number) for number in range(20))


@pytest.mark.django_db(transaction=True)
def test_of_a_commit_and_a_sweep_at_once_the_later_one_sees_the_first() -> None:
    object_sweeps.request(alias="originals", prefix=KEY, reason=REASON.UPLOAD)
    with transaction.atomic():
        assert object_sweeps.cancel(alias="originals", prefix=KEY)
        assert in_a_thread(take).result(10) == []
        transaction.set_rollback(True)
    with transaction.atomic():
        assert len(take()) == 1
        commit = in_a_thread(object_sweeps.cancel, alias="originals", prefix=KEY)
        wait_until_blocked()
    assert not commit.result(10)
    assert ObjectSweep.objects.count() == 1
