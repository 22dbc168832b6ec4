"""Photos are edited while somebody merges or deletes the tags that they wear: one after the other, in no circle."""

from collections.abc import Callable, Collection
from concurrent.futures import Future
from uuid import UUID

import factories
import pytest
from concurrency import in_a_thread, wait_until_blocked
from django.test import Client

from accounts.models import Library
from photos.models import Photo, Tag
from photos.services import edits, tags

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def library(db: None) -> Library:
    return factories.make_library()


@pytest.fixture
def photo(library: Library) -> Photo:
    return factories.make_photo(library)


@pytest.fixture
def client(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "editor"))


def meanwhile(monkeypatch: pytest.MonkeyPatch, work: Callable[..., int], **named: object) -> list[Future[int]]:
    """Have somebody do this when an edit has locked its photos, and go on when they wait."""
    begun: list[Future[int]] = []
    locked = edits._locked

    def locked_and_waited_for(library_id: UUID, photo_ids: Collection[UUID]) -> list[Photo]:
        found = locked(library_id, photo_ids)
        if not begun:
            begun.append(in_a_thread(work, **named))
            wait_until_blocked()
        return found

    monkeypatch.setattr(edits, "_locked", locked_and_waited_for)
    return begun


def worn(photo: Photo) -> list[str]:
    return Photo.objects.values_list("tag_names", flat=True).get(pk=photo.pk).split()


@pytest.mark.parametrize("condition", [{}, {"If-Match": "*"}])
def test_a_tag_is_put_on_while_those_of_the_photo_are_merged_into_it(
    client: Client, library: Library, photo: Photo, monkeypatch: pytest.MonkeyPatch, condition: dict[str, str]
) -> None:
    sea, sky = factories.make_tag(library, "sea", photo), factories.make_tag(library, "sky")
    [merging] = [meanwhile(monkeypatch, tags.merge, tags=[sea], into=sky)]
    response = client.patch(
        f"/api/v1/photos/{photo.pk}", {"tags": ["sea", "sky", "sun"]}, format="json", headers=condition
    )
    assert response.status_code == 200, response.content
    assert merging[0].result() == 1
    assert worn(photo) == ["sky", "sun"]


def test_a_tag_is_put_on_while_it_is_deleted(
    client: Client, library: Library, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    sea = factories.make_tag(library, "sea", photo)
    other = factories.make_photo(library)
    deleting = meanwhile(monkeypatch, tags.delete, tag=sea)
    response = client.post(
        "/api/v1/edits", {"photos": [str(photo.pk), str(other.pk)], "changes": {"add_tags": ["sea"]}}, format="json"
    )
    assert response.status_code == 200, response.content
    # whoever comes last has the last word, and no photo wears a tag that there is not
    assert deleting[0].result() == 2
    assert (worn(photo), worn(other), Tag.objects.get(pk=sea.pk).is_removed) == ([], [], True)


def test_an_edit_is_taken_back_while_its_tag_is_merged(
    client: Client, library: Library, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    sea, sky = factories.make_tag(library, "sea", photo), factories.make_tag(library, "sky")
    edit = client.post(
        "/api/v1/edits", {"photos": [str(photo.pk)], "changes": {"remove_tags": ["sea"]}}, format="json"
    ).json()["edits"][0]["id"]
    factories.make_tag(library, "sun", photo)
    merging = meanwhile(monkeypatch, tags.merge, tags=[sea], into=sky)
    response = client.post(f"/api/v1/edits/{edit}/undo")
    assert (response.status_code, response.json()["changed"]) == (200, 1)
    assert merging[0].result() == 1
    assert worn(photo) == ["sky", "sun"]
