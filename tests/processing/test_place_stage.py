"""Stage `place`: through the ledger, from the position that is shown."""

from typing import Any

import factories
import pytest

from accounts.models import Library
from photos.models import Photo, PhotoPlace
from photos.services import results
from processing import ledger
from processing.models import RunState, StageRun
from processing.models.ledger import Lane
from processing.pipeline import working
from processing.pipeline.advancing import advance
from processing.pipeline.planning import plan
from processing.stages import registry

pytestmark = pytest.mark.django_db(transaction=True)

BERN = {"latitude": 46.948, "longitude": 7.4474}


@pytest.fixture
def library() -> Library:
    return factories.make_library(**factories.FACES_OFF)


def read_exif(photo: Photo, **values: Any) -> None:
    """Do what the stage `exif` does in its transaction, of a file that says this."""
    results.replace_metadata(photo_id=photo.pk, library_id=photo.library_id, version="1", values=values)
    StageRun.objects.filter(photo=photo, stage="exif").update(state=RunState.DONE, finished_at=photo.uploaded_at)
    is_located = Photo.objects.get(pk=photo.pk).latitude is not None
    advance(photo_id=photo.pk, stage="exif", skip_children="" if is_located else "no_position")


def work() -> int:
    return working.work(stage_name="place", task_id="t", worker="w")


def run_of(photo: Photo) -> StageRun:
    return StageRun.objects.get(photo=photo, stage="place")


def planned(library: Library) -> Photo:
    photo = factories.make_photo(library)
    plan([photo.pk], lane=Lane.UPLOAD, announce=False)
    return photo


def test_a_position_gets_a_name(library: Library) -> None:
    photo = planned(library)
    assert run_of(photo).state == RunState.WAITING
    read_exif(photo, **BERN)

    assert work() == 1

    photo.refresh_from_db()
    assert run_of(photo).state == RunState.DONE
    assert (photo.country_code, photo.country, photo.city) == ("CH", "Switzerland", "Bern")
    assert photo.place_keys == ["bern", "ch", "switzerland"]
    assert PhotoPlace.objects.get().version == run_of(photo).version
    assert list(Photo.objects.filter(words="zurich")) == []


def test_without_a_position_there_is_nothing_to_name(library: Library) -> None:
    photo = planned(library)
    read_exif(photo)

    run = run_of(photo)
    assert (run.state, run.skip_reason) == (RunState.SKIPPED, "no_position")
    assert work() == 0
    # planned anew, it is skipped again
    StageRun.objects.filter(pk=run.pk).delete()
    plan([photo.pk], lane=Lane.UPLOAD, announce=False)
    assert (run_of(photo).state, run_of(photo).skip_reason) == (RunState.SKIPPED, "no_position")


def test_at_sea_it_is_done_and_named_after_none(library: Library) -> None:
    photo = planned(library)
    read_exif(photo, latitude=0.0, longitude=-140.0)

    assert work() == 1
    photo.refresh_from_db()
    assert (run_of(photo).state, photo.country, photo.place_keys) == (RunState.DONE, "", [])


def test_a_place_of_another_position_is_not_shown(library: Library) -> None:
    photo = planned(library)
    read_exif(photo, **BERN)
    work()
    read_exif(photo, latitude=-33.8688, longitude=151.2093)

    photo.refresh_from_db()
    assert (photo.country, run_of(photo).state) == ("", RunState.PENDING)
    assert work() == 1
    photo.refresh_from_db()
    assert (photo.country, photo.city) == ("Australia", "Sydney")


def test_many_are_named_at_once(library: Library) -> None:
    photos = [planned(library) for _ in range(3)]
    for photo, latitude in zip(photos, (46.948, 0.0, -33.8688), strict=True):
        read_exif(photo, latitude=latitude, longitude=7.4474 if latitude > 0 else 151.2093)
    leases = ledger.claim(
        stage="place", versions=registry.get("place").known_versions(), limit=10, task_id="t", worker="w"
    )

    working.run_batch(registry.get("place"), leases)

    cities = [Photo.objects.values_list("city", flat=True).get(pk=photo.pk) for photo in photos]
    assert cities == ["Bern", "", "Sydney"]
