"""Dead letters as they are read: by what they have in common."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import factories
import pytest

from processing.dead_letters import DeadLetterGroup, alike, groups
from processing.ledger.errors import RunError, fingerprint
from processing.models import LibraryRun, RunState, StageRun
from processing.services import dead_letters

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
DECODER = RunError(code="unexpected_error", detail="at 17", exception="ValueError", frame="renditions.py:compute")
LOST = RunError(code="worker_lost", detail="signal 11")
DECODER_MARK = fingerprint(work="renditions", error=DECODER)
LOST_MARK = fingerprint(work="renditions", error=LOST)


def make_dead(photo: object, error: RunError, *, minutes: int, stage: str = "renditions", **values: object) -> StageRun:
    columns = error.columns(stage) | {"finished_at": NOON + timedelta(minutes=minutes)} | values
    return factories.make_run(photo, stage, RunState.DEAD, **columns)


def all_groups() -> list[DeadLetterGroup]:
    return groups(StageRun.objects.all(), LibraryRun.objects.all())


def test_nothing_dead_is_no_group(django_assert_num_queries: Callable[..., object]) -> None:
    factories.make_run(factories.make_photo(factories.make_library()))
    with django_assert_num_queries(2):
        assert all_groups() == []


def test_what_failed_in_the_same_way_is_one_group(django_assert_num_queries: Callable[..., object]) -> None:
    first, second = factories.make_library(name="first"), factories.make_library(name="second")
    make_dead(factories.make_photo(first), DECODER, minutes=1)
    make_dead(factories.make_photo(second), DECODER, minutes=0)
    newest = make_dead(factories.make_photo(second), DECODER, minutes=5)
    lost = make_dead(factories.make_photo(first), LOST, minutes=3)
    dead_grouping = LibraryRun.objects.create(
        library=first,
        kind="people",
        version="v",
        state=RunState.DEAD,
        finished_at=NOON + timedelta(minutes=4),
        **LOST.columns("people"),
    )
    factories.make_run(factories.make_photo(first), "renditions", RunState.SKIPPED, **DECODER.columns("renditions"))

    with django_assert_num_queries(5):
        found = all_groups()

    assert found == [
        DeadLetterGroup(
            fingerprint=DECODER_MARK,
            work="renditions",
            error_code="unexpected_error",
            exception="ValueError",
            frame="renditions.py:compute",
            count=3,
            first_seen=NOON,
            last_seen=NOON + timedelta(minutes=5),
            libraries=["second", "first"],
            library_count=2,
            sample_run_id=newest.pk,
            sample_photo_id=newest.photo_id,
            is_library_work=False,
        ),
        DeadLetterGroup(
            fingerprint=fingerprint(work="people", error=LOST),
            work="people",
            error_code="worker_lost",
            exception="",
            frame="",
            count=1,
            first_seen=NOON + timedelta(minutes=4),
            last_seen=NOON + timedelta(minutes=4),
            libraries=["first"],
            library_count=1,
            sample_run_id=dead_grouping.pk,
            sample_photo_id=None,
            is_library_work=True,
        ),
        DeadLetterGroup(
            fingerprint=LOST_MARK,
            work="renditions",
            error_code="worker_lost",
            exception="",
            frame="",
            count=1,
            first_seen=NOON + timedelta(minutes=3),
            last_seen=NOON + timedelta(minutes=3),
            libraries=["first"],
            library_count=1,
            sample_run_id=lost.pk,
            sample_photo_id=lost.photo_id,
            is_library_work=False,
        ),
    ]


def test_rows_older_than_fingerprints_are_grouped_by_work_and_error() -> None:
    library = factories.make_library()
    old = make_dead(factories.make_photo(library), LOST, minutes=9, fingerprint="")
    lost = make_dead(factories.make_photo(library), LOST, minutes=2)
    elsewhere = make_dead(factories.make_photo(library), LOST, minutes=1, stage="exif", fingerprint="")

    found = {group.fingerprint: (group.work, group.count, group.sample_run_id) for group in all_groups()}

    exif_mark = fingerprint(work="exif", error=LOST)
    assert found == {LOST_MARK: ("renditions", 2, old.pk), exif_mark: ("exif", 1, elsewhere.pk)}
    runs, library_runs = alike(LOST_MARK)
    assert set(runs) == {old, lost}
    assert list(library_runs) == []
    assert list(alike(exif_mark)[0]) == [elsewhere]
    assert list(alike("0" * 16)[0]) == []
    assert dead_letters.retry_alike(fingerprint=LOST_MARK) == 2
    assert StageRun.objects.get(state=RunState.DEAD) == elsewhere
    assert dead_letters.discard_alike(fingerprint=exif_mark, by=None, reason="why") == 1
    assert not StageRun.objects.filter(state=RunState.DEAD).exists()


def test_no_more_than_five_libraries_are_named_those_with_the_most_first() -> None:
    libraries = [factories.make_library(name=f"library {number}") for number in range(7)]
    for number, library in enumerate(libraries):
        for _ in range(number + 1):
            make_dead(factories.make_photo(library), LOST, minutes=0)

    group = all_groups()[0]

    assert (group.count, group.library_count) == (28, 7)
    assert group.libraries == ["library 6", "library 5", "library 4", "library 3", "library 2"]
