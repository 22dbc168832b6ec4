"""What an editor has hidden from visitors is told to none of them, by no list of something else either."""

from typing import Any

import factories
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import Library, Membership, Role
from accounts.roles import Permission

pytestmark = pytest.mark.django_db

DECISIONS = "/api/v1/photos/duplicates/decisions"


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def visitor(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "visitor"))


@pytest.fixture
def editor(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "editor"))


def test_faces_on_hidden_photos_neither_count_nor_stand_for_anybody(
    visitor: Client, editor: Client, library: Library
) -> None:
    ada = factories.make_person(library, name="Ada")
    shown = factories.make_face(factories.make_photo(library), person=ada, quality=0.5)
    hidden = factories.make_face(factories.make_photo(library, is_hidden=True), person=ada, quality=0.9)
    ada.chosen_cover = hidden
    ada.save()
    for client, count, cover in ((visitor, 1, shown), (editor, 2, hidden)):
        [listed] = client.get("/api/v1/people").json()["results"]
        assert listed == client.get(f"/api/v1/people/{ada.pk}").json()
        assert (listed["face_count"], listed["photo_count"]) == (count, count)
        assert listed["cover"]["id"] == str(cover.pk)
        assert client.get(listed["cover"]["chip_url"]).status_code in {200, 404}
    assert visitor.get(f"/api/v1/faces/{hidden.pk}").status_code == 404


@pytest.mark.usefixtures("photo_store")
def test_whoever_sends_the_bytes_of_a_hidden_photo_gets_a_receipt(editor: Client, library: Library) -> None:
    data = factories.image_bytes()

    def sent(client: Client) -> dict[str, Any]:
        file = SimpleUploadedFile("own name.jpg", data, "image/jpeg")
        response = client.post("/api/v1/photos", {"library": str(library.pk), "file": file}, format="multipart")
        assert response.status_code in {200, 201}, response.content
        return response.json()

    camera, role = factories.make_user(), Role.objects.create(name="camera")
    role.permissions = [Permission.VIEW_PHOTOS, Permission.UPLOAD_PHOTOS]
    role.save()
    Membership.objects.create(library=library, user=camera, role=role)
    told = sent(editor)
    assert sent(factories.client_of(camera))["original_filename"] == "own name.jpg"
    change = {"title": "The surprise", "is_hidden": True}
    assert editor.patch(f"/api/v1/photos/{told['id']}", change, format="json").status_code == 200

    receipt = sent(factories.client_of(camera))
    assert receipt["id"] == told["id"]
    assert set(receipt) == {"id", "library", "sha256", "byte_size", "state"}
    assert sent(editor)["title"] == "The surprise"


def test_a_decision_names_the_photos_that_may_be_seen(visitor: Client, editor: Client, library: Library) -> None:
    seen = [factories.make_photo(library) for _ in range(2)]
    hidden = factories.make_photo(library)
    keys = [str(one.pk) for one in (*seen, hidden)]
    made = editor.post(DECISIONS, {"photos": keys}, format="json").json()
    assert made["photos"] == sorted(keys)
    assert editor.patch(f"/api/v1/photos/{hidden.pk}", {"is_hidden": True}, format="json").status_code == 200

    for answer in (visitor.get(DECISIONS).json()["results"][0], visitor.get(f"{DECISIONS}/{made['id']}").json()):
        assert answer["photos"] == sorted(keys[:2])
    assert editor.get(f"{DECISIONS}/{made['id']}").json()["photos"] == sorted(keys)
