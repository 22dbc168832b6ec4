"""The order in which runs are locked: whoever wants several of them waits in line, and nobody in a circle."""

from collections.abc import Callable
from typing import Any

import pytest
from concurrency import in_a_thread, wait_until_blocked
from django.db import transaction
from django.db.models.functions import Now
from uuid_utils.compat import uuid7

from photos.models import Photo
from processing.models import RunState, StageRun
from processing.outdated import Choice
from processing.pipeline.advancing import hold_children
from processing.pipeline.planning import plan
from processing.prove import remedies
from processing.services import dead_letters, reprocess, trash
from processing.stages import registry

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("broker")]

OLD = "0.old"


def photo_ids() -> list[Any]:
    return list(Photo.objects.values_list("pk", flat=True))


def begin_anew(choice: Choice) -> int:
    return sum(one.runs for one in reprocess.begin_anew(photos=Photo.objects.all(), choice=choice))


WORKS: dict[str, tuple[bool, Callable[[], object], object]] = {
    "retry": (True, lambda: dead_letters.retry(runs=StageRun.objects.all()), 4),
    "discard": (True, lambda: dead_letters.discard(runs=StageRun.objects.all(), by=None, reason="why"), 4),
    "reprocess what is dead": (True, lambda: begin_anew(Choice.DEAD), 4),
    "reprocess all": (True, lambda: begin_anew(Choice.ALL), 4),
    "plan": (False, lambda: plan(photo_ids(), lane=2), 6),
    "run again": (True, lambda: reprocess.run_again(photos=Photo.objects.all(), stage="exif"), 2),
    "run again as a remedy": (False, lambda: remedies.run_again(photo_ids=photo_ids(), stage="exif"), 0),
    "remove doubles": (True, lambda: remedies.remove_doubles(photo_id=min(photo_ids())), True),
    "purge": (True, lambda: trash.purge(photo_ids=photo_ids(), also_present=True), 2),
}


@pytest.mark.parametrize("name", WORKS)
def test_runs_are_locked_in_the_order_of_the_pipeline(make_photo: Callable[..., Photo], name: str) -> None:
    is_planned, work, outcome = WORKS[name]
    photos = sorted((make_photo() for _ in range(2)), key=lambda photo: photo.pk)
    # made last to first, and their keys the other way round as well: no other order gives this one by chance
    keys = sorted(uuid7() for _ in range(4))
    in_order = [(stage, photo) for stage in ("exif", "renditions") for photo in photos]
    for key, (stage, photo) in zip(keys, reversed(in_order), strict=True):
        version = registry.get(stage).base_version if is_planned else OLD
        values = {"state": RunState.DEAD, "finished_at": Now(), "error_code": "damaged"}
        StageRun.objects.create(pk=key, photo=photo, stage=stage, version=version, **values)

    with transaction.atomic():
        StageRun.objects.select_for_update().get(pk=keys[-1])
        other = in_a_thread(work)
        wait_until_blocked()
        # it waits for the first of them and holds none of the others
        assert len(StageRun.objects.select_for_update(nowait=True).filter(pk__in=keys[:-1])) == 3

    assert other.result(20) == outcome


def test_a_commit_locks_what_follows_in_order(make_photo: Callable[..., Photo]) -> None:
    photo = make_photo()
    keys = sorted(uuid7() for _ in range(2))
    for key in reversed(keys):
        StageRun.objects.create(pk=key, photo=photo, stage="face_embedding", version=f"1.{key}", state=RunState.WAITING)
    with transaction.atomic():
        StageRun.objects.select_for_update().get(pk=keys[0])
        other = in_a_thread(transaction.atomic(hold_children), photo_id=photo.pk, stage="face_detection")
        wait_until_blocked()
        assert StageRun.objects.select_for_update(nowait=True).get(pk=keys[1]).pk == keys[1]
    other.result(20)
