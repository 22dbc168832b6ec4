"""`manage.py reprocess`: it counts, estimates, asks, and begins."""

import io
import sys
import uuid
from collections.abc import Callable
from datetime import timedelta

import factories
import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now

from accounts.models import Library
from photos.models import Photo
from photos.services import trash
from processing import estimates, outdated
from processing.models import LibraryRun, RunState, StagePause, StageRun, WorkerPresence
from processing.models.ledger import Lane
from processing.pipeline.planning import plan
from processing.services import reprocess

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are not folded."""
    monkeypatch.setenv("COLUMNS", "200")


def say(*arguments: object, asking: bool = False) -> list[str]:
    """Run the command; gives the lines it writes, without the table's rules and the progress."""
    output = io.StringIO()
    call_command("reprocess", *map(str, arguments), *([] if asking else ["--yes"]), stdout=output)
    lines = [" ".join(line.split()) for line in output.getvalue().splitlines()]
    return [line for line in lines if line and "──" not in line and "━━" not in line]


def make_worker(*queues: str, processes: int, **values: object) -> None:
    name = f"{'-'.join(queues)}@here"
    rows = {"started_at": Now(), "seen_at": Now(), **values}
    WorkerPresence.objects.create(name=name, queues=list(queues), processes=processes, **rows)


def finish_all(seconds: float) -> None:
    StageRun.objects.update(state=RunState.DONE, finished_at=Now(), work_seconds=seconds, lane=Lane.UPLOAD)


def states() -> dict[tuple[str, str, int], int]:
    found: dict[tuple[str, str, int], int] = {}
    for key in StageRun.objects.values_list("stage", "state", "lane"):
        found[key] = found.get(key, 0) + 1
    return found


UNKNOWN = (
    (
        "How long it takes cannot be said: no run of exif was done lately; no run of place was done lately; "
        "no run of renditions was done lately; no live worker serves the queue ingest; no live worker serves"
    ),
    "the queue maintenance.",
)


def test_what_is_missing_is_counted_and_begun(library: Library) -> None:
    other = factories.make_library()
    photos = [factories.make_photo(one) for one in (library, library, other)]
    trash.move_to_trash(photo_ids=[photos[1].pk])
    counts = ["stage start over follow", "exif 1", "place 1", "renditions 1", *UNKNOWN]
    assert say("--library", library.name, "--dry-run") == [*counts, "Nothing was changed."]
    assert StageRun.objects.count() == 0
    assert say("--library", library.name) == [*counts, "3 runs start over."]
    assert set(StageRun.objects.values_list("photo", flat=True)) == {photos[0].pk}
    assert say("--missing")[-1] == "3 runs start over."
    assert set(StageRun.objects.values_list("photo", flat=True)) == {photos[0].pk, photos[2].pk}
    assert say() == say("--missing") == say("--dead") == ["Nothing is to be done."]
    assert set(states()) == {
        ("exif", "pending", Lane.BACKFILL),
        ("place", "waiting", Lane.BACKFILL),
        ("renditions", "pending", Lane.BACKFILL),
    }


def test_dead_work_on_libraries_is_left_out_and_said(library: Library) -> None:
    dead = {"kind": "people", "version": "v", "state": RunState.DEAD, "finished_at": Now(), "error_code": "damaged"}
    for one in (library, library, factories.make_library()):
        LibraryRun.objects.create(library=one, **dead)
    nothing = "Nothing is to be done."
    how = "left out: retry among the dead letters in the admin."
    assert say("--dead") == [f"3 dead runs of work on libraries are {how}", nothing]
    assert say("--dead", "--library", library.name) == [f"2 dead runs of work on libraries are {how}", nothing]
    assert say("--missing") == [nothing]
    assert set(LibraryRun.objects.values_list("state", flat=True)) == {"dead"}


def test_a_stage_is_made_anew_for_chosen_photos(library: Library) -> None:
    photos = [factories.make_photo(library) for _ in range(3)]
    plan([photo.pk for photo in photos], lane=Lane.UPLOAD)
    finish_all(2.0)
    make_worker("ingest", processes=4)
    make_worker("maintenance", processes=4)
    chosen = ["--photo", photos[0].pk, "--photo", photos[2].pk]
    assert say("--all", "--stage", "exif", *chosen, "--yes") == [
        "stage start over follow",
        "exif 2",
        "place 0 2",
        "It takes about 1 s with the workers that are there, if nothing else is to be done.",
        "2 runs start over.",
    ]
    fresh = StageRun.objects.filter(state=RunState.PENDING)
    assert set(fresh.values_list("photo", "stage")) == {(photos[0].pk, "exif"), (photos[2].pk, "exif")}


def test_dead_runs_are_begun(library: Library) -> None:
    photos = [factories.make_photo(library) for _ in range(3)]
    plan([photo.pk for photo in photos], lane=Lane.UPLOAD)
    finish_all(2.0)
    StageRun.objects.filter(photo=photos[1], stage="exif").update(state=RunState.DEAD, error_code="damaged")
    assert say("--dead")[-1] == "1 run starts over."
    run = StageRun.objects.get(photo=photos[1], stage="exif")
    assert (run.state, run.error_code, run.lane) == ("pending", "", Lane.BACKFILL)


def test_a_reprocess_that_cannot_be_says_why(library: Library) -> None:
    factories.make_photo(library)
    with pytest.raises(CommandError, match="There is no library named 'Elsewhere'"):
        say("--library", "Elsewhere")
    with pytest.raises(CommandError, match="invalid choice: 'unknown'"):
        say("--stage", "unknown")
    with pytest.raises(CommandError, match="not-an-id"):
        say("--photo", "not-an-id")
    with pytest.raises(CommandError, match="not allowed with argument"):
        say("--all", "--dead")
    with pytest.raises(CommandError, match="--after goes with --all"):
        say("--after", uuid.uuid4())
    unknown = uuid.uuid4()
    with pytest.raises(CommandError, match=f"Not there, or in the trash, or in another library: {unknown}."):
        say("--photo", unknown)
    assert StageRun.objects.count() == 0


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "runs"), [("y\n", 3), ("YES\n", 3), ("n\n", 0), ("\n", 0), ("", 0)])
def test_on_a_terminal_it_asks(library: Library, monkeypatch: pytest.MonkeyPatch, typed: str, runs: int) -> None:
    factories.make_photo(library)
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    assert any("Begin? [y/N]" in line for line in say(asking=True))
    assert StageRun.objects.count() == runs


def test_with_yes_it_does_not_ask(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    factories.make_photo(library)
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    assert not any("Begin?" in line for line in say())
    assert StageRun.objects.count() == 3


def test_what_is_paused_is_said(library: Library) -> None:
    factories.make_photo(library)
    for work in ("renditions", "people"):
        StagePause.objects.create(work=work)
    assert "Paused, and waits until it goes on: renditions." in say("--dry-run")


def test_where_nobody_can_be_asked_nothing_is_done(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    factories.make_photo(library)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(CommandError, match="Nobody to ask: add --yes to begin"):
        say(asking=True)
    assert say("--dry-run", asking=True)[0] == "stage start over follow"
    assert StageRun.objects.count() == 0


# what is missing is planned whole; all begins with what reads the originals
@pytest.mark.parametrize(("choice", "runs"), [("--missing", 3), ("--all", 2)])
def test_an_interruption_says_how_to_go_on(
    library: Library, monkeypatch: pytest.MonkeyPatch, choice: str, runs: int
) -> None:
    photos = [factories.make_photo(library) for _ in range(3)]
    monkeypatch.setattr(outdated, "PHOTOS_PER_TRANSACTION", 1)
    begin, calls = reprocess._begin_anew, []

    def interrupted(*arguments: object) -> int:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return begin(*arguments)

    monkeypatch.setattr(reprocess, "_begin_anew", interrupted)
    with pytest.raises(CommandError) as stopped:
        say(choice)
    second = sorted(photo.pk for photo in photos)[1]
    how = f" with --after {second}" if choice == "--all" else ""
    assert (
        str(stopped.value) == f"Interrupted: {2 * runs} runs start over. The same command{how} goes on with the others."
    )
    assert stopped.value.returncode == 130
    assert StageRun.objects.count() == 2 * runs
    monkeypatch.setattr(reprocess, "_begin_anew", begin)
    assert say(choice, *(["--after", second] if how else []))[-1] == f"{runs} runs start over."
    assert StageRun.objects.count() == 3 * runs


# estimates


@pytest.fixture
def done_lately(make_run: Callable[..., StageRun]) -> None:
    """Runs that took 1 and 3 s, and 10 s."""
    done = {"state": RunState.DONE, "finished_at": Now(), "queued_at": None}
    make_run(work_seconds=1.0, **done)
    make_run(work_seconds=3.0, **done)
    make_run(stage="face_detection", work_seconds=10.0, **done)
    make_run(stage="face_embedding", work_seconds=5.0, **done)


def test_an_estimate_shares_work_among_processes(done_lately: None) -> None:
    make_worker("ingest", processes=4)
    make_worker("faces", "embeddings", processes=2)
    # 100 x 2 s by four; 10 x 10 s and 8 x 5 s by the same two: the longer one counts
    assert estimates.estimate({"exif": 100}) == estimates.Estimate(50.0, [])
    assert estimates.estimate({"exif": 100, "face_detection": 10, "face_embedding": 8}).seconds == 70.0
    assert estimates.estimate({}) == estimates.Estimate(0.0, [])


def test_workers_that_share_a_queue_share_its_work(done_lately: None) -> None:
    make_worker("ingest", processes=2)
    make_worker("faces", processes=1)
    make_worker("ingest", "faces", processes=1)
    assert estimates.estimate({"exif": 10, "face_detection": 2}).seconds == (20 + 20) / 4


def test_what_cannot_be_estimated_is_said(done_lately: None, library: Library) -> None:
    make_worker("ingest", processes=2, draining_since=Now())
    make_worker("faces", processes=1, seen_at=Now() - timedelta(minutes=5))
    found = estimates.estimate({"exif": 1, "renditions": 1, "face_detection": 1, "face_embedding": 0})
    assert found == estimates.Estimate(
        None,
        [
            "no run of renditions was done lately",
            "no live worker serves the queue faces",
            "no live worker serves the queue ingest",
        ],
    )
    assert Photo.objects.count() == 4
