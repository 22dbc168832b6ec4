"""Dead letters: what waits for a person, and what happens when one comes."""

from collections.abc import Callable
from pathlib import Path

import factories
import photo_samples
import pytest
from django.core.files.base import ContentFile
from django.db.models.functions import Now

from accounts.models import Library
from photos import storage
from processing import overview
from processing.models import LibraryRun, RunState, StageRun
from processing.services import dead_letters

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]

MakeRun = Callable[..., StageRun]
DEAD = {"state": RunState.DEAD, "finished_at": Now(), "error_code": "damaged", "error_detail": "why", "attempt": 3}


def test_a_retried_run_takes_its_children_with_it(face_library: Library, photo_store: Path) -> None:
    photo = photo_samples.take_in(face_library, photo_samples.portrait())
    with storage.open_object(alias="originals", key=photo.storage_key) as file:
        whole = file.read()
    # a disk that gave half of the file
    storage.write_object(alias="originals", key=photo.storage_key, file=ContentFile(whole[: len(whole) // 2]))
    photo_samples.run_everything()
    assert photo_samples.states(photo) == {
        "exif": "done",
        "renditions": "dead",
        "face_detection": "waiting",
        "face_embedding": "waiting",
    }
    assert overview.overview().is_settled
    storage.write_object(alias="originals", key=photo.storage_key, file=ContentFile(whole))

    assert dead_letters.retry(runs=StageRun.objects.all()) == 1

    run = photo_samples.run_of(photo, "renditions")
    assert (run.state, run.attempt, run.error_code, run.error_detail, run.finished_at) == ("pending", 0, "", "", None)
    assert not overview.overview().is_settled
    photo_samples.run_everything()
    assert set(photo_samples.states(photo).values()) == {"done"}
    assert dead_letters.retry(runs=StageRun.objects.all()) == 0


def test_only_dead_ones_of_those_that_were_chosen_start_over(make_run: MakeRun, broker: object) -> None:
    chosen = make_run(**DEAD)
    other = make_run(**DEAD)
    detection = make_run(stage="face_detection", **DEAD)
    pending, done = make_run(attempt=2), make_run(state=RunState.DONE, finished_at=Now())
    before = {run.pk: StageRun.objects.values().get(pk=run.pk) for run in (other, pending, done)}

    picked = [run.pk for run in (chosen, detection, pending, done)]
    assert dead_letters.retry(runs=StageRun.objects.filter(pk__in=picked)) == 2

    assert {pk: StageRun.objects.values().get(pk=pk) for pk in before} == before
    for run in (chosen, detection):
        run.refresh_from_db()
        assert (run.state, run.attempt) == ("pending", 0)
    assert (broker.llen("ingest"), broker.llen("faces")) == (1, 1)


def make_library_run(library: Library, state: str, **values: object) -> LibraryRun:
    wanted = DEAD if state == RunState.DEAD else {"state": state, "queued_at": Now()}
    return LibraryRun.objects.create(library=library, kind="people", version="v", **{**wanted, **values})


def test_dead_library_runs_start_over_one_of_a_library(library: Library, broker: object) -> None:
    other, busy = factories.make_library(), factories.make_library()
    older, newest = (make_library_run(library, RunState.DEAD) for _ in range(2))
    alone = make_library_run(other, RunState.DEAD)
    blocked = make_library_run(busy, RunState.DEAD)
    open_run = make_library_run(busy, RunState.PENDING)

    every = LibraryRun.objects.values_list("pk", flat=True)
    assert dead_letters.retry_library_runs(run_ids=every) == 2

    states = dict(LibraryRun.objects.values_list("pk", "state"))
    assert states == {
        older.pk: "dead",
        newest.pk: "pending",
        alone.pk: "pending",
        blocked.pk: "dead",
        open_run.pk: "pending",
    }
    newest.refresh_from_db()
    assert (newest.attempt, newest.error_code, newest.finished_at) == (0, "", None)
    assert broker.llen("people") == 1
    assert dead_letters.retry_library_runs(run_ids=every) == 0
