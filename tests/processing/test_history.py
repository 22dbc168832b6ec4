"""What happened lately: throughput and dead letters."""

from datetime import UTC, datetime, timedelta

import factories
import pytest
from django.utils import timezone

from processing import history
from processing.models import LibraryRun, RunState, StageRun

pytestmark = pytest.mark.django_db


def test_runs_fall_into_bins_of_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2024, 5, 1, 12, 3, 30, tzinfo=UTC)
    monkeypatch.setattr(timezone, "now", lambda: now)
    library = factories.make_library()
    for stage, state, time in (
        ("exif", RunState.DONE, datetime(2024, 5, 1, 10, 59, 59, tzinfo=UTC)),
        ("exif", RunState.DONE, datetime(2024, 5, 1, 11, 0, tzinfo=UTC)),
        ("renditions", RunState.DONE, datetime(2024, 5, 1, 11, 4, 59, 999999, tzinfo=UTC)),
        ("exif", RunState.DEAD, datetime(2024, 5, 1, 11, 5, tzinfo=UTC)),
        ("exif", RunState.SKIPPED, datetime(2024, 5, 1, 11, 6, tzinfo=UTC)),
        ("exif", RunState.DONE, now),
    ):
        factories.make_run(factories.make_photo(library), stage, state, finished_at=time)
    bins = history.throughput()
    assert [one.start for one in bins] == [datetime(2024, 5, 1, 11, tzinfo=UTC) + n * history.BIN for n in range(13)]
    assert [(dict(one.done), one.dead) for one in bins] == [
        ({"exif": 1, "renditions": 1}, 0),
        ({}, 1),
        *[({}, 0)] * 10,
        ({"exif": 1}, 0),
    ]


def test_throughput_is_that_of_the_runs_given() -> None:
    ours, theirs = factories.make_library(), factories.make_library()
    for library in (ours, theirs, theirs):
        factories.make_run(factories.make_photo(library), "exif")
    counts = [one.done["exif"] for one in history.throughput(StageRun.objects.filter(photo__library=theirs))]
    assert (sum(counts), counts[-1]) == (2, 2)
    assert sum(one.done["exif"] for one in history.throughput()) == 3


def test_dead_letters_are_counted_by_work_and_error() -> None:
    library = factories.make_library()
    for stage, code in (
        ("exif", "damaged"),
        ("renditions", "damaged"),
        ("renditions", "damaged"),
        ("exif", "timed_out"),
    ):
        factories.make_run(factories.make_photo(library), stage, RunState.DEAD, error_code=code)
    factories.make_run(factories.make_photo(library), "exif", error_code="damaged")
    LibraryRun.objects.create(
        library=library,
        kind="people",
        version="1",
        state=RunState.DEAD,
        error_code="unexpected_error",
        finished_at=timezone.now() - timedelta(days=1),
    )
    found = history.dead_letters(StageRun.objects.all(), LibraryRun.objects.all())
    assert [(one.work, one.error_code, one.count) for one in found] == [
        ("renditions", "damaged", 2),
        ("exif", "damaged", 1),
        ("exif", "timed_out", 1),
        ("people", "unexpected_error", 1),
    ]
