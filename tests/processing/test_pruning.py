"""Pruning: runs of superseded versions go, and no run that says what a photo is."""

import io
from collections.abc import Callable
from datetime import timedelta

import pytest
from concurrency import in_a_thread
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone

from photos.models import Photo
from processing.management.terminal import duration
from processing.models import ModelSelection, RunState, StageRun
from processing.services import pruning
from processing.services.pruning import Pruned
from processing.stages import registry

pytestmark = pytest.mark.django_db

MakeRun = Callable[..., StageRun]
DAYS_90 = timedelta(days=90)


def done(make_run: MakeRun, version: str, days: float, **values: object) -> StageRun:
    ended = timezone.now() - timedelta(days=days)
    return make_run(**{"version": version, "state": RunState.DONE, "finished_at": ended, "queued_at": None, **values})


def prune(older_than: timedelta = DAYS_90) -> dict[str, int]:
    found: dict[str, int] = {}
    for pruned in pruning.prune_runs(older_than=older_than):
        found[pruned.stage] = found.get(pruned.stage, 0) + pruned.deleted
    return found


def left() -> set[tuple[object, str, str]]:
    return set(StageRun.objects.values_list("photo", "stage", "version"))


def test_what_a_later_run_has_replaced_goes(make_run: MakeRun, make_photo: Callable[..., Photo]) -> None:
    planned = registry.get("exif").base_version
    photo = make_photo()
    for version, days in (("1.old", 300), ("2.old", 200), ("3.young", 89), (planned, 80)):
        done(make_run, version, days, photo=photo)
    counts = pruning.count_prunable(older_than=DAYS_90)
    assert counts == {"exif": 2, "place": 0, "renditions": 0, "face_detection": 0, "face_embedding": 0} | {
        "image_embedding": 0
    }
    assert prune() == {"exif": 2}
    assert left() == {(photo.pk, "exif", "3.young"), (photo.pk, "exif", planned)}
    assert prune() == {}
    assert prune(timedelta(days=1)) == {"exif": 1}
    assert left() == {(photo.pk, "exif", planned)}


def test_what_says_what_a_photo_is_stays(make_run: MakeRun, make_photo: Callable[..., Photo]) -> None:
    planned = registry.get("exif").base_version
    # the last that is done, of a version that is not planned any more; a newer one is under way
    last = done(make_run, "1.old", 300)
    make_run(photo=last.photo, version=planned)
    # done under the planned version before it was done under another
    back = done(make_run, planned, 300)
    done(make_run, "9.other", 200, photo=back.photo)
    # open, dead, discarded, of a stage that this release does not know
    newest = done(make_run, planned, 100)
    make_run(photo=newest.photo, version="1.open")
    done(make_run, "1.dead", 300, photo=newest.photo, state=RunState.DEAD, error_code="damaged")
    given_up = {"state": RunState.SKIPPED, "skip_reason": "discarded", "discard_reason": "no loss"}
    done(make_run, "1.discarded", 300, photo=newest.photo, **given_up)
    below = {"state": RunState.SKIPPED, "skip_reason": "input_discarded"}
    done(make_run, "1.below", 300, photo=newest.photo, **below)
    done(make_run, "1", 300, photo=newest.photo, stage="another_release")
    done(make_run, "2", 200, photo=newest.photo, stage="another_release")
    before = left()
    assert pruning.count_prunable(older_than=DAYS_90)["exif"] == 0
    assert prune() == {}
    assert left() == before
    assert len(before) == 11


def test_what_was_never_run_goes(make_run: MakeRun) -> None:
    superseded = {"state": RunState.SKIPPED, "skip_reason": "superseded"}
    done(make_run, "1.old", 300, **superseded)
    young = done(make_run, "1.old", 30, **superseded)
    nothing_to_do = done(make_run, "1.old", 300, state=RunState.SKIPPED, skip_reason="no_faces", stage="face_embedding")
    assert prune() == {"exif": 1}
    assert set(StageRun.objects.values_list("pk", flat=True)) == {young.pk, nothing_to_do.pk}


def test_each_model_has_a_last_run(make_run: MakeRun, make_photo: Callable[..., Photo]) -> None:
    ModelSelection.objects.create(task="face_embedding", model="dlib-resnet-v1", weights_hash="d" * 64, in_use=True)
    photo = make_photo()
    planned = registry.get("face_embedding").version_with("dlib-resnet-v1", "d" * 64)
    # the vectors of a model that was dropped are there, and this is what made them
    for version, days in ((planned, 100), ("1.aa.dlib-resnet-v1.11", 300), ("1.aa.facenet-casia.22", 300)):
        done(make_run, version, days, photo=photo, stage="face_embedding")
    assert prune() == {"face_embedding": 1}
    assert {version for _, _, version in left()} == {planned, "1.aa.facenet-casia.22"}


def test_it_goes_in_batches(
    make_run: MakeRun, make_photo: Callable[..., Photo], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = make_photo()
    for number in range(5):
        done(make_run, f"{number}.old", 300 - number, photo=photo)
    done(make_run, registry.get("exif").base_version, 1, photo=photo)
    monkeypatch.setattr(pruning, "RUNS_PER_TRANSACTION", 2)
    assert list(pruning.prune_runs(older_than=DAYS_90)) == [Pruned("exif", count, 0) for count in (2, 2, 1)]
    assert StageRun.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_what_somebody_holds_is_left_and_said(
    make_run: MakeRun, make_photo: Callable[..., Photo], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = make_photo()
    old = [done(make_run, f"{number}.old", 300 - number, photo=photo) for number in range(6)]
    done(make_run, registry.get("exif").base_version, 1, photo=photo)
    monkeypatch.setattr(pruning, "RUNS_PER_TRANSACTION", 2)
    with transaction.atomic():
        # the whole of the first two transactions
        list(StageRun.objects.select_for_update().filter(pk__in=[run.pk for run in old[:4]]))
        pruned = in_a_thread(lambda: list(pruning.prune_runs(older_than=DAYS_90))).result(10)
    assert pruned == [Pruned("exif", 0, 2), Pruned("exif", 0, 2), Pruned("exif", 2, 0)]
    with transaction.atomic():
        StageRun.objects.select_for_update().get(pk=old[0].pk)
        said = in_a_thread(say, "--older-than", "90d").result(10)
    left = "1 was in use and was left: the same command takes it later."
    assert said == ["exif: 3", "3 runs were deleted.", left]
    assert prune() == {"exif": 1}


def say(*arguments: str) -> list[str]:
    output = io.StringIO()
    call_command("prune_runs", *arguments, stdout=output)
    return output.getvalue().splitlines()


def test_the_command_says_how_many(make_run: MakeRun, make_photo: Callable[..., Photo]) -> None:
    photo = make_photo()
    for version, days in (("1.old", 300), (registry.get("exif").base_version, 1)):
        done(make_run, version, days, photo=photo)
    assert say("--older-than", "90d", "--dry-run") == ["exif: 1", "1 run would be deleted."]
    assert StageRun.objects.count() == 2
    assert say("--older-than", "50w") == ["0 runs were deleted."]
    assert say("--older-than", "2160h") == ["exif: 1", "1 run was deleted."]
    assert say("--older-than", "90d") == ["0 runs were deleted."]
    assert StageRun.objects.count() == 1


@pytest.mark.parametrize("text", ["90", "d", "0d", "0.0w", "-1d", "1.d", "9999999d", "90y", "ninety days", ""])
def test_an_age_that_is_none_is_refused(make_run: MakeRun, make_photo: Callable[..., Photo], text: str) -> None:
    photo = make_photo()
    for version, days in (("1.old", 300), (registry.get("exif").base_version, 1)):
        done(make_run, version, days, photo=photo)
    with pytest.raises(CommandError, match=r"is not a time such as 90m, 12h, 7d or 2w|is no age"):
        say(f"--older-than={text}")
    assert StageRun.objects.count() == 2


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("1.5m", 90), ("36h", 129_600), ("2w", 1_209_600)])
def test_a_time_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert duration(text) == timedelta(seconds=seconds)
