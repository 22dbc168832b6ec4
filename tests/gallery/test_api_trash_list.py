"""GET photos?trashed=true: what lies in the trash, who is told, and until when."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import factories
import pytest
from access_world import key_client
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import Library
from accounts.roles import BUILT_IN_ROLES
from photos.models import Photo
from processing.models import RunState
from processing.services import trash

pytestmark = pytest.mark.django_db

PHOTOS = "/api/v1/photos"
# a time at which nothing of this test's has expired
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def editor(library: Library) -> APIClient:
    return factories.client_of(factories.make_member(library, "editor"))


def trashed(library: Library, **values: object) -> Photo:
    return factories.make_photo(library, **{"trashed_at": timezone.now(), **values})


def rows(client: APIClient, **parameters: object) -> list[dict]:
    response = client.get(f"{PHOTOS}?{urlencode({'trashed': 'true', **parameters})}")
    assert response.status_code == 200, response.json()
    return response.json()["results"]


def ids(client: APIClient, **parameters: object) -> list[str]:
    return [row["id"] for row in rows(client, **parameters)]


def test_a_row_says_what_it_is_and_until_when_and_shows_no_links(
    editor: APIClient, library: Library, photo_store: object, settings: Settings
) -> None:
    settings.TRASH_RETENTION_DAYS = 30
    photo = trashed(library, trashed_at=NOON, thumbhash=b"\x01\xff\x00")
    factories.make_rendition(photo, "preview", data=b"picture")
    factories.make_metadata(photo, camera_make="Canon")
    present = factories.make_photo(library)

    [row] = rows(editor)

    of_others = editor.get(PHOTOS).json()["results"][0]
    assert of_others["id"] == str(present.pk)
    assert row.keys() == of_others.keys() - {"renditions"} | {"trashed_at", "purged_after"}
    assert (row["id"], row["camera_make"], row["thumbhash"]) == (str(photo.pk), "Canon", "Af8A")
    assert (row["trashed_at"], row["purged_after"]) == ("2026-03-01T12:00:00Z", "2026-03-31T12:00:00Z")
    # which is why no link is shown
    assert editor.get(f"{PHOTOS}/{photo.pk}/renditions/preview").status_code == 404


def test_what_is_listed_can_be_restored_and_is_listed_no_more(
    editor: APIClient, library: Library, photo_store: object
) -> None:
    photo = factories.make_photo(library, data=b"bytes")
    assert editor.delete(f"{PHOTOS}/{photo.pk}").status_code == 204

    [found] = ids(editor)

    assert editor.post(f"{PHOTOS}/{found}/restore").status_code == 200
    assert (ids(editor), ids(editor, trashed="false")) == ([], [str(photo.pk)])


def test_a_photo_goes_no_earlier_than_is_said(editor: APIClient, library: Library, settings: Settings) -> None:
    settings.TRASH_RETENTION_DAYS = 2
    expired = trashed(library, trashed_at=timezone.now() - timedelta(days=2, minutes=1))
    kept = trashed(library, trashed_at=timezone.now() - timedelta(days=2, minutes=-1))
    said = {row["id"]: datetime.fromisoformat(row["purged_after"]) < timezone.now() for row in rows(editor)}
    assert said == {str(expired.pk): True, str(kept.pk): False}

    assert trash.purge_expired() == 1

    assert ids(editor) == [str(kept.pk)]


def test_where_nothing_expires_there_is_no_such_time(editor: APIClient, library: Library, settings: Settings) -> None:
    settings.TRASH_RETENTION_DAYS = 0
    trashed(library, trashed_at=NOON)

    [row] = rows(editor)

    assert (row["trashed_at"], row["purged_after"]) == ("2026-03-01T12:00:00Z", None)


def of_a_visitor(library: Library) -> APIClient:
    return factories.client_of(factories.make_member(library, "visitor"))


def of_a_stranger(library: Library) -> APIClient:
    return factories.client_of(factories.make_member(factories.make_library(), "admin"))


def of_a_key_without_the_scope(library: Library) -> APIClient:
    return key_client(factories.make_member(library, "admin"), frozenset(BUILT_IN_ROLES["admin"]) - {"photos.trash"})


def of_a_key_that_sees_nothing(library: Library) -> APIClient:
    return key_client(factories.make_member(library, "admin"), frozenset({"photos.trash"}))


@pytest.mark.parametrize(
    "client_of", [of_a_visitor, of_a_stranger, of_a_key_without_the_scope, of_a_key_that_sees_nothing]
)
def test_who_may_bring_nothing_back_is_shown_nothing(
    library: Library, client_of: Callable[[Library], APIClient]
) -> None:
    photo = trashed(library)
    client = client_of(library)

    assert ids(client) == ids(client, library=library.pk) == []
    assert Photo.objects.get(pk=photo.pk).trashed_at is not None


def test_a_superuser_sees_all_but_of_a_library_that_is_being_erased(library: Library) -> None:
    other = factories.make_library()
    first, second = trashed(library), trashed(other)
    client = factories.client_of(factories.make_user(is_superuser=True))
    assert ids(client) == [str(second.pk), str(first.pk)]
    assert ids(client, library=library.pk) == [str(first.pk)]

    Library.objects.filter(pk=other.pk).update(erasure_requested_at=timezone.now())

    assert ids(client) == [str(first.pk)]


def test_the_other_filters_narrow_it_too(editor: APIClient, library: Library) -> None:
    plain, dead, with_face = (trashed(library) for _ in range(3))
    factories.make_run(dead, "exif", RunState.DEAD)
    factories.make_metadata(dead, camera_make="Canon", taken_at=NOON)
    ada = factories.make_person(library)
    factories.make_face(with_face, person=ada)
    factories.make_face(factories.make_photo(library), person=ada)

    assert ids(editor, state="attention") == ids(editor, camera_make="Canon") == [str(dead.pk)]
    assert ids(editor, taken_after="2026-03-02") == []
    assert ids(editor, has_faces="true") == ids(editor, person=ada.pk) == [str(with_face.pk)]
    assert ids(editor, has_faces="false") == [str(dead.pk), str(plain.pk)]


def test_faces_in_the_trash_are_not_told_to_whoever_may_not_see_people(library: Library) -> None:
    photo = trashed(library)
    factories.make_face(photo, person=factories.make_person(library))
    scopes = frozenset(BUILT_IN_ROLES["editor"]) - {"people.view"}
    client = key_client(factories.make_member(library, "editor"), scopes)

    assert ids(client, has_faces="true") == []
    assert ids(client, has_faces="false") == [str(photo.pk)]


@pytest.mark.parametrize("value", ["yes", "1", "True", "\x00"])
def test_a_value_that_is_no_truth_is_refused(editor: APIClient, library: Library, value: str) -> None:
    trashed(library)

    response = editor.get(f"{PHOTOS}?{urlencode({'trashed': value})}")

    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert [error["field"] for error in response.json()["errors"]] == ["trashed"]


def test_it_opens_the_trash_in_no_other_operation(editor: APIClient, library: Library) -> None:
    photo = trashed(library)
    run = factories.make_run(photo, "exif", RunState.DEAD)

    for query, status in (("?trashed=true", 400), ("", 404)):
        assert editor.get(f"{PHOTOS}/{photo.pk}{query}").status_code == status
        assert editor.post(f"{PHOTOS}/{photo.pk}/retry{query}").status_code == status
    run.refresh_from_db()
    assert run.state == RunState.DEAD


def test_pages_follow_each_other(editor: APIClient, library: Library) -> None:
    keys = [str(trashed(library).pk) for _ in range(3)]

    first = editor.get(f"{PHOTOS}?trashed=true&page_size=2").json()
    second = editor.get(first["next"]).json()

    assert [[row["id"] for row in page["results"]] for page in (first, second)] == [[keys[2], keys[1]], [keys[0]]]


def test_the_list_costs_three_queries_however_long_it_is(editor: APIClient, library: Library) -> None:
    counts = []
    for more in (2, 18):
        for _ in range(more):
            photo = trashed(library)
            factories.make_rendition(photo, "preview")
            factories.make_metadata(photo, camera_make="Canon")
            factories.make_run(photo, "exif")
        with CaptureQueriesContext(connection) as queries:
            found = rows(editor, state="ready")
        counts.append((len(found), len(queries)))

    assert counts == [(2, 3), (20, 3)]  # the account, the page, its photos
