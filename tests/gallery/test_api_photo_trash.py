"""DELETE and restore: into the trash, back, and for good."""

from pathlib import Path
from uuid import uuid4

import factories
import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import Library
from photos import storage
from photos.models import ObjectSweep, Photo
from processing.models import StageRun
from processing.services import object_sweeps

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def editor(library: Library) -> APIClient:
    return factories.client_of(factories.make_member(library, "editor"))


def address(photo: Photo) -> str:
    return f"/api/v1/photos/{photo.pk}"


def test_a_deleted_photo_lies_in_the_trash_and_comes_back(editor: APIClient, library: Library) -> None:
    photo = factories.make_photo(library, data=b"bytes")
    for _ in range(2):
        response = editor.delete(address(photo))
        assert (response.status_code, response.content) == (204, b"")
        assert editor.get(address(photo)).status_code == 404
    assert Photo.objects.get().trashed_at is not None
    assert StageRun.objects.count() == 0

    for _ in range(2):
        response = editor.post(f"{address(photo)}/restore")
        assert (response.status_code, response.json()["id"]) == (200, str(photo.pk))
    assert Photo.objects.get().trashed_at is None
    # it was never planned: what it has missed is made up for
    assert set(StageRun.objects.values_list("stage", "state")) == {
        ("exif", "pending"),
        ("place", "waiting"),
        ("renditions", "pending"),
    }
    assert storage.read_object(alias=storage.ORIGINALS, key=photo.storage_key) == b"bytes"


@pytest.mark.parametrize("trashed", [False, True])
def test_what_is_deleted_permanently_is_gone(library: Library, photo_store: Path, trashed: bool) -> None:
    admin = factories.client_of(factories.make_member(library, "admin"))
    photo = factories.make_photo(library, data=b"bytes", trashed_at=timezone.now() if trashed else None)
    other = factories.make_photo(library, data=b"other")
    factories.make_rendition(photo, "preview", data=b"preview")
    factories.make_face(photo, chip=b"chip")
    factories.make_run(photo)
    assert admin.delete(f"{address(photo)}?permanently=true").status_code == 204
    assert (list(Photo.objects.all()), StageRun.objects.count()) == ([other], 0)
    assert object_sweeps.sweep().objects_deleted == 3
    left = [str(path.relative_to(photo_store)) for path in photo_store.rglob("*") if path.is_file()]
    assert left == [f"originals/{other.storage_key}"]
    for response in (admin.delete(f"{address(photo)}?permanently=true"), admin.post(f"{address(photo)}/restore")):
        assert (response.status_code, response.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("trashed", [False, True])
def test_who_may_use_the_trash_may_not_empty_it(editor: APIClient, library: Library, trashed: bool) -> None:
    photo = factories.make_photo(library, trashed_at=timezone.now() if trashed else None)
    before = Photo.objects.values().get()
    response = editor.delete(f"{address(photo)}?permanently=true")
    assert (response.status_code, response.json()["permission"]) == (403, "photos.purge")
    assert (Photo.objects.values().get(), ObjectSweep.objects.count()) == (before, 0)


def test_a_value_that_is_no_truth_is_refused(editor: APIClient, library: Library) -> None:
    photo = factories.make_photo(library)
    response = editor.delete(f"{address(photo)}?permanently=perhaps")
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "permanently")
    assert Photo.objects.get().trashed_at is None


def test_who_may_not_trash_may_do_nothing_of_it(library: Library) -> None:
    present, gone = factories.make_photo(library), factories.make_photo(library, trashed_at=timezone.now())
    before = list(Photo.objects.order_by("pk").values())
    visitor = factories.client_of(factories.make_member(library, "visitor"))
    stranger = factories.client_of(factories.make_user())
    for client, photo, status in (
        (visitor, present, 403),
        (visitor, gone, 404),
        (stranger, present, 404),
        (stranger, gone, 404),
    ):
        for response in (
            client.delete(address(photo)),
            client.delete(f"{address(photo)}?permanently=true"),
            client.post(f"{address(photo)}/restore"),
        ):
            assert response.status_code == status
    assert list(Photo.objects.order_by("pk").values()) == before
    assert ObjectSweep.objects.count() == 0
    assert visitor.delete(f"/api/v1/photos/{uuid4()}").status_code == 404
