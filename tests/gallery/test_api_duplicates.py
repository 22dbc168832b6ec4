"""Near-duplicates in the API: groups, which one to keep and why, and decisions."""

from datetime import UTC, datetime
from typing import Any

import factories
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Library
from photos.models import DuplicateDecision, DuplicateGroup, DuplicateMember, Photo
from photos.services import duplicates, fingerprints, trash

pytestmark = pytest.mark.django_db

GROUPS, DECISIONS = "/api/v1/photos/duplicates", "/api/v1/photos/duplicates/decisions"


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def visitor(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "visitor"))


@pytest.fixture
def editor(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "editor"))


def hashed(library: Library, *bits: int, **values: Any) -> Photo:
    photo = factories.make_photo(library, **{"width": 400, "height": 300, **values})
    fingerprints.note(photo_id=photo.pk, perceptual_hash=sum(1 << bit for bit in bits))
    return photo


def look(library: Library) -> None:
    while duplicates.group_next(library_id=library.pk, model=None, limit=100):
        pass


def listed(client: Client, query: str = "") -> list[dict[str, Any]]:
    response = client.get(f"{GROUPS}{query}")
    assert response.status_code == 200, response.content
    return response.json()["results"]


def names(group: dict[str, Any]) -> list[str]:
    return [photo["id"] for photo in group["photos"]]


def test_groups_are_listed_with_a_suggestion(visitor: Client, library: Library) -> None:
    small, large = hashed(library), hashed(library, 1, 2, width=4000, height=3000)
    middle = hashed(library, 2, width=800, height=600)
    hashed(library, *range(40))
    look(library)
    [group] = listed(visitor, f"?library={library.pk}")
    assert group["library"] == str(library.pk)
    assert (group["keep"], group["reason"]) == (str(large.pk), "most_pixels")
    assert group["reason_text"] == "It has the most pixels."
    # the one to be kept, then the others by how far they are from it
    assert names(group) == [str(large.pk), str(middle.pk), str(small.pk)]
    assert [photo["distance"] for photo in group["photos"]] == [0, 1, 2]
    assert listed(visitor, f"?library={factories.make_library().pk}") == []


@pytest.mark.parametrize(
    ("better", "reason"),
    [
        ({"width": 800, "height": 600, "image_format": "WEBP"}, "most_pixels"),
        ({"image_format": "HEIF"}, "best_format"),
        ({"image_format": "TIFF", "byte_size": 1}, "best_format"),
        ({"exif": True}, "has_exif"),
        ({"byte_size": 90_000}, "most_bytes"),
        ({}, "oldest_upload"),
    ],
)
def test_the_reason_is_the_first_in_which_it_is_better(
    better: dict[str, Any], reason: str, visitor: Client, library: Library
) -> None:
    values = {key: value for key, value in better.items() if key != "exif"}
    plain = {"image_format": "WEBP", "byte_size": 100} if "image_format" in better else {"byte_size": 100}
    best = hashed(library, **{**plain, **values})
    if "exif" in better:
        factories.make_metadata(best, taken_at=datetime(2024, 5, 1, tzinfo=UTC))
    hashed(library, 1, **plain)
    hashed(library, 2, **plain)
    look(library)
    [group] = listed(visitor)
    assert (group["keep"], group["reason"]) == (str(best.pk), reason)


def test_what_is_not_seen_is_not_in_a_group(visitor: Client, library: Library) -> None:
    first, second, third = (hashed(library, bit) for bit in range(3))
    foreign = factories.make_library()
    hashed(foreign), hashed(foreign, 1)
    look(library)
    look(foreign)
    assert [len(group["photos"]) for group in listed(visitor)] == [3]
    trash.move_to_trash(photo_ids=[second.pk])
    assert [set(names(group)) for group in listed(visitor)] == [{str(first.pk), str(third.pk)}]
    trash.move_to_trash(photo_ids=[third.pk])
    assert listed(visitor) == []
    # and back again
    trash.restore(photo_ids=[third.pk])
    assert len(listed(visitor)) == 1


def test_pages_are_stable(visitor: Client, library: Library) -> None:
    for start in (0, 20, 40):
        hashed(library, *range(start, start + 20)), hashed(library, *range(start, start + 19))
    look(library)
    first = visitor.get(f"{GROUPS}?page_size=2").json()
    assert len(first["results"]) == 2
    second = visitor.get(first["next"]).json()
    found = [group["id"] for page in (first, second) for group in page["results"]]
    assert found == [str(pk) for pk in DuplicateGroup.objects.order_by("-pk").values_list("pk", flat=True)]


def test_a_decision_is_remembered_and_taken_back(editor: Client, visitor: Client, library: Library) -> None:
    first, second = hashed(library), hashed(library, 1)
    look(library)
    response = editor.post(DECISIONS, {"photos": [str(first.pk), str(second.pk)]})
    assert response.status_code == 201, response.content
    decided = response.json()
    assert decided["photos"] == sorted([str(first.pk), str(second.pk)])
    assert (decided["library"], decided["decided_by"]) == (
        str(library.pk), str(DuplicateDecision.objects.get().decided_by_id),
    )  # fmt: skip
    assert listed(visitor) == []
    assert visitor.get(f"{DECISIONS}?library={library.pk}").json()["results"] == [decided]
    # once more is a second word for the same
    assert editor.post(DECISIONS, {"photos": [str(first.pk), str(second.pk)]}).status_code == 201
    assert editor.delete(f"{DECISIONS}/{decided['id']}").status_code == 204
    assert listed(visitor) == []
    [left] = visitor.get(DECISIONS).json()["results"]
    assert editor.delete(f"{DECISIONS}/{left['id']}").status_code == 204
    assert [set(names(group)) for group in listed(visitor)] == [{str(first.pk), str(second.pk)}]


def test_who_may_look_may_not_decide(visitor: Client, editor: Client, library: Library) -> None:
    photos = [hashed(library), hashed(library, 1)]
    look(library)
    body = {"photos": [str(photo.pk) for photo in photos]}
    assert visitor.post(DECISIONS, body).status_code == 403
    foreign = hashed(factories.make_library())
    assert editor.post(DECISIONS, {"photos": [body["photos"][0], str(foreign.pk)]}).status_code == 404
    trashed = hashed(library, 3)
    trash.move_to_trash(photo_ids=[trashed.pk])
    assert editor.post(DECISIONS, {"photos": [body["photos"][0], str(trashed.pk)]}).status_code == 404
    for wrong in ({"photos": body["photos"][:1]}, {"photos": [body["photos"][0]] * 2}, {"photos": ["x", "y"]}, {}):
        response = editor.post(DECISIONS, wrong)
        assert (response.status_code, response.json()["errors"][0]["field"].split(".")[0]) == (400, "photos")
    assert DuplicateDecision.objects.count() == 0
    assert DuplicateMember.objects.count() == 2
    decision = duplicates.decide(photos=photos, by=None, model=None)
    assert visitor.delete(f"{DECISIONS}/{decision.pk}").status_code == 403
    stranger = factories.client_of(factories.make_member(factories.make_library(), "admin"))
    assert stranger.delete(f"{DECISIONS}/{decision.pk}").status_code == 404
    assert stranger.get(DECISIONS).json()["results"] == []
    assert DuplicateDecision.objects.count() == 1


def test_photos_of_two_libraries_are_no_duplicates(library: Library) -> None:
    other = factories.make_library()
    user = factories.make_member(library, "editor")
    factories.Membership.objects.create(library=other, user=user, role=user.memberships.get().role)
    body = {"photos": [str(hashed(library).pk), str(hashed(other).pk)]}
    response = factories.client_of(user).post(DECISIONS, body)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "photos")
    assert DuplicateDecision.objects.count() == 0


def test_a_list_of_groups_costs_the_same_however_long_it_is(visitor: Client, library: Library) -> None:
    hashed(library), hashed(library, 1)
    look(library)

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            listed(visitor)
        return len(queries)

    listed(visitor)
    few = count()
    for start in (10, 30, 50):
        for last in range(3):
            factories.make_rendition(hashed(library, *range(start, start + 10), last), "preview")
    look(library)
    assert len(listed(visitor)) == 4
    assert count() == few
