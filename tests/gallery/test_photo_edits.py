"""Editing photos in the API: one and many, what is kept of it, and taking it back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import factories
import pytest
from django.core.cache import cache
from django.test import Client

from accounts.models import Library, Membership, Role, User
from accounts.roles import Permission
from photos.models import Edit, Favourite, Photo, PhotoViews, Revision
from photos.services import results
from processing.kinds import edit as edit_kind
from processing.kinds.edit import EDIT
from processing.models import LibraryRun, RunState, StageRun
from processing.pipeline import library_work
from processing.services import photo_edits

pytestmark = pytest.mark.django_db

SHOWN = (
    "title",
    "caption",
    "rating",
    "taken_at",
    "taken_at_offset",
    "latitude",
    "longitude",
    "tag_names",
    "is_hidden",
)
PHOTOS, EDITS = "/api/v1/photos", "/api/v1/edits"


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def editor(library: Library) -> User:
    return factories.make_member(library, "editor")


@pytest.fixture
def client(editor: User) -> Client:
    return factories.client_of(editor)


@pytest.fixture
def photo(library: Library) -> Photo:
    made = factories.make_photo(library)
    read_file(made)
    return made


def read_file(photo: Photo, **values: Any) -> None:
    """Do what the stage `exif` does, of a file that says this."""
    said = {
        "title": "Pier",
        "rating": 2,
        "taken_at": datetime(2020, 5, 1, 12, tzinfo=UTC),
        "taken_at_offset": 120,
        "keywords": ["sea"],
        "latitude": 46.948,
        "longitude": 7.4474,
        **values,
    }
    results.replace_metadata(photo_id=photo.pk, library_id=photo.library_id, version="1", values=said)


def patch(client: Client, photo: Photo, **changes: Any) -> dict[str, Any]:
    response = client.patch(f"{PHOTOS}/{photo.pk}", changes, format="json")
    assert response.status_code == 200, response.json()
    return response.json()


def edit_many(client: Client, changes: dict[str, Any], **selection: Any) -> dict[str, Any]:
    response = client.post(EDITS, {"changes": changes, **selection}, format="json")
    assert response.status_code in {200, 202}, response.json()
    return response.json()


def columns(photo: Photo) -> dict[str, Any]:
    names = (
        "title",
        "caption",
        "rating",
        "taken_at",
        "taken_at_offset",
        "latitude",
        "longitude",
        "tag_names",
        "is_hidden",
    )
    return Photo.objects.values(*names).get(pk=photo.pk)


SAID = {
    "title": ("Sunset", "title", "Sunset"),
    "caption": ("By the sea", "caption", "By the sea"),
    "rating": (5, "rating", 5),
    "taken_at": ("2019-01-02T03:04:05+01:00", "taken_at", "2019-01-02T02:04:05Z"),
    "position": ({"latitude": -33.5, "longitude": 151.25}, "latitude", -33.5),
    "is_hidden": (True, "is_hidden", True),
}


@pytest.mark.parametrize("field", SAID)
def test_what_is_said_is_shown_and_taken_back(client: Client, photo: Photo, field: str) -> None:
    before = columns(photo)
    value, column, shown = SAID[field]

    assert patch(client, photo, **{field: value})[column] == shown
    # reading the file again does not undo it
    read_file(photo)
    assert columns(photo) != before
    [edit] = Edit.objects.all()
    undone = client.post(f"{EDITS}/{edit.pk}/undo").json()

    assert (undone["changed"], undone["left"], undone["edit"]["undoes"]) == (1, 0, str(edit.pk))
    assert columns(photo) == before
    again = client.post(f"{EDITS}/{undone['edit']['id']}/undo").json()
    assert again["changed"] == 1
    assert client.get(f"{PHOTOS}/{photo.pk}").json()[column] == shown


def test_null_goes_back_to_what_the_file_says(client: Client, photo: Photo) -> None:
    before = columns(photo)
    patch(
        client,
        photo,
        title="",
        rating=0,
        taken_at="2000-01-01T00:00:00",
        position={"latitude": None, "longitude": None},
    )
    said = columns(photo)
    assert (said["title"], said["rating"], said["latitude"]) == ("", 0, None)
    assert (said["taken_at"], said["taken_at_offset"]) == (datetime(2000, 1, 1, tzinfo=UTC), None)

    patch(client, photo, title=None, rating=None, taken_at=None, position=None)

    assert columns(photo) == before
    assert Photo.objects.get(pk=photo.pk).corrections == {}


def test_tags_are_exactly_those_and_come_back(client: Client, photo: Photo) -> None:
    patch(client, photo, tags=["Évening", "sky", "SKY"])
    assert columns(photo)["tag_names"] == "Évening sky"
    read_file(photo)
    assert columns(photo)["tag_names"] == "Évening sky"

    client.post(f"{EDITS}/{Edit.objects.get().pk}/undo")

    assert columns(photo)["tag_names"] == "sea"


def test_the_history_tells_who_said_what(client: Client, editor: User, photo: Photo) -> None:
    patch(client, photo, title="Sunset", position={"latitude": 1.0, "longitude": 2.0}, tags=["sky"])
    patch(client, photo, title="Sunset")
    patch(client, photo, title="Dawn")

    rows = client.get(f"{PHOTOS}/{photo.pk}/history").json()["results"]

    assert [(row["before"]["title"], row["after"]["title"]) for row in rows] == [("Sunset", "Dawn"), ("Pier", "Sunset")]
    assert rows[1]["before"] == {"title": "Pier", "position": [46.948, 7.4474], "tags": ["sea"]}
    assert rows[1]["after"] == {"title": "Sunset", "position": [1.0, 2.0], "tags": ["sky"]}
    assert (rows[0]["by"], rows[0]["undoes"]) == (str(editor.pk), None)


def test_what_was_changed_since_stays(client: Client, photo: Photo) -> None:
    patch(client, photo, title="Sunset", rating=5)
    first = Edit.objects.get()
    patch(client, photo, title="Dawn")

    undone = client.post(f"{EDITS}/{first.pk}/undo").json()

    assert (undone["changed"], undone["left"]) == (1, 1)
    assert (columns(photo)["title"], columns(photo)["rating"]) == ("Dawn", 2)
    twice = client.post(f"{EDITS}/{first.pk}/undo")
    assert (twice.status_code, twice.json()["code"]) == (409, "already_undone")


def test_a_corrected_position_is_named_anew(client: Client, photo: Photo) -> None:
    factories.make_run(photo, "exif", version="v1")
    run = factories.make_run(photo, "place", RunState.DONE, version=_version_of_place())

    patch(client, photo, position={"latitude": -33.5, "longitude": 151.25})
    assert StageRun.objects.get(pk=run.pk).state == RunState.PENDING
    patch(client, photo, position={"latitude": None, "longitude": None})
    assert StageRun.objects.get(pk=run.pk).skip_reason == "no_position"
    patch(client, photo, title="x")
    assert StageRun.objects.get(pk=run.pk).skip_reason == "no_position"


def _version_of_place() -> str:
    from processing.stages import registry

    return registry.get("place").base_version


def test_many_by_ids_and_by_a_filter(client: Client, library: Library) -> None:
    photos = [factories.make_photo(library) for _ in range(3)]
    for number, one in enumerate(photos):
        read_file(one, iso=100 * (number + 1), keywords=[])
    other = factories.make_photo(factories.make_library())

    dry = edit_many(client, {"rating": 5}, filter={"iso_min": 200}, dry_run=True)
    assert (dry, Edit.objects.count()) == ({"matched": 2, "edits": []}, 0)

    done = edit_many(client, {"rating": 5, "add_tags": ["best"]}, filter={"iso_min": 200})
    assert (done["matched"], done["edits"][0]["photo_count"]) == (2, 2)
    edit_many(client, {"add_tags": ["all"], "remove_tags": ["BEST"]}, photos=[str(one.pk) for one in photos])
    assert [columns(one)["rating"] for one in photos] == [2, 5, 5]
    assert [columns(one)["tag_names"] for one in photos] == ["all"] * 3

    client.post(f"{EDITS}/{done['edits'][0]['id']}/undo")
    assert [columns(one)["rating"] for one in photos] == [2, 2, 2]
    assert columns(other)["rating"] is None


def test_the_clock_of_many_is_moved(client: Client, library: Library, photo: Photo) -> None:
    undated = factories.make_photo(library)

    done = edit_many(client, {"shift_taken_at": -3600}, filter={})

    assert (done["matched"], done["edits"][0]["photo_count"]) == (2, 1)
    assert columns(photo)["taken_at"] == datetime(2020, 5, 1, 11, tzinfo=UTC)
    assert columns(photo)["taken_at_offset"] == 120
    assert columns(undated)["taken_at"] is None


def test_very_many_are_edited_by_a_library_run(
    client: Client, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_edits, "AT_ONCE", 2)
    photos = [factories.make_photo(library) for _ in range(5)]

    response = client.post(EDITS, {"changes": {"title": "x"}, "filter": {}}, format="json")
    assert (response.status_code, response.json()["edits"][0]["photo_count"]) == (202, 0)
    assert library_work.work(kind="edit", task_id="t", worker="w") == 1

    edit = client.get(f"{EDITS}/{response.json()['edits'][0]['id']}").json()
    assert edit["photo_count"] == 5
    assert {columns(one)["title"] for one in photos} == {"x"}
    run = LibraryRun.objects.get(kind="edit")
    assert (run.state, run.report) == (RunState.DONE, {"photos": 5, "of": 5, "changed": 5})
    assert Edit.objects.get().selection == []
    assert client.post(f"{EDITS}/{edit['id']}/undo").json()["changed"] == 5


@pytest.mark.parametrize("steps", [0, 1])
def test_what_is_taken_back_while_it_is_under_way_goes_no_further(
    client: Client, library: Library, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    monkeypatch.setattr(photo_edits, "AT_ONCE", 2)
    monkeypatch.setattr(edit_kind, "PHOTOS_PER_STEP", 2)
    photos = [factories.make_photo(library) for _ in range(5)]
    response = client.post(EDITS, {"changes": {"title": "x"}, "filter": {}}, format="json")
    edit = Edit.objects.get(pk=response.json()["edits"][0]["id"])
    if steps:
        run = LibraryRun.objects.get(kind="edit")
        assert EDIT.step(run)
        run.save()

    assert client.post(f"{EDITS}/{edit.pk}/undo").json()["changed"] == 2 * steps
    assert library_work.work(kind="edit", task_id="t", worker="w") == 1

    assert {columns(one)["title"] for one in photos} == {""}
    assert LibraryRun.objects.get(kind="edit").state == RunState.DONE
    edit.refresh_from_db()
    assert edit.selection == []


@pytest.mark.parametrize(
    ("taken_at", "seconds"),
    [
        ("9999-12-31T12:00:00+00:00", 86_400),
        # in UTC it stays, and on the camera's clock it does not
        ("9999-12-31T12:00:00+05:00", 14 * 3600),
        ("0001-01-01T00:00:00-14:00", -10 * 3600),
        ("0001-01-02T00:00:00+00:00", -86_400 * 30),
    ],
)
def test_no_clock_is_moved_out_of_the_calendar(
    client: Client, library: Library, photo: Photo, taken_at: str, seconds: int
) -> None:
    edge = factories.make_photo(library)
    patch(client, edge, taken_at=taken_at)
    before = columns(edge)
    done = edit_many(client, {"shift_taken_at": seconds}, photos=[str(photo.pk), str(edge.pk)])
    assert (done["matched"], done["edits"][0]["photo_count"]) == (2, 1)
    assert columns(edge) == before
    assert columns(photo)["taken_at"] == datetime(2020, 5, 1, 12, tzinfo=UTC) + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"rating": 6}, "changes.rating"),
        ({"rating": -1}, "changes.rating"),
        ({"title": "x" * 1001}, "changes.title"),
        ({"taken_at": "yesterday"}, "changes.taken_at"),
        ({"taken_at": "0001-01-01T00:00:00+14:00"}, "changes.taken_at"),
        ({"taken_at": "2020-01-01T00:00:00+23:00"}, "changes.taken_at"),
        ({"taken_at": 5}, "changes.taken_at"),
        ({"position": {"latitude": 1.0, "longitude": None}}, "changes.position"),
        ({"position": {"latitude": 91, "longitude": 0}}, "changes.position.latitude"),
        ({"add_tags": ["x"] * 101}, "changes.add_tags"),
        ({"shift_taken_at": 10**12}, "changes.shift_taken_at"),
        ({"shift_taken_at": 1, "taken_at": "2020-01-01T00:00:00Z"}, "changes.shift_taken_at"),
    ],
)
def test_what_cannot_be_said_is_refused(client: Client, photo: Photo, changes: dict[str, Any], field: str) -> None:
    before = columns(photo)

    response = client.post(EDITS, {"changes": changes, "filter": {}}, format="json")

    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, field)
    assert (columns(photo), Edit.objects.count()) == (before, 0)


@pytest.mark.parametrize(
    ("selection", "field"),
    [
        ({}, ""),
        ({"photos": [], "filter": {}}, "photos"),
        ({"photos": ["x"]}, "photos.0"),
        ({"filter": {"iso_min": "x"}}, "filter.iso_min"),
        ({"filter": {"colour": "red"}}, "filter.colour"),
        ({"filter": {"trashed": True}}, "filter.trashed"),
        ({"filter": {"person": [{}]}}, "filter.person"),
        # taken for none, these would edit everything
        ({"filter": {"library": ""}}, "filter.library"),
        ({"filter": {"library": None}}, "filter.library"),
        ({"filter": {"person": []}}, "filter.person"),
        ({"filter": {"tag": [""]}}, "filter.tag"),
    ],
)
def test_a_selection_that_cannot_be_is_refused(
    client: Client, photo: Photo, selection: dict[str, Any], field: str
) -> None:
    response = client.post(EDITS, {"changes": {"title": "x"}, **selection}, format="json")

    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, field)
    assert Edit.objects.count() == 0


def test_a_filter_that_there_is_none_is_told_which_there_are(client: Client, photo: Photo) -> None:
    response = client.post(EDITS, {"changes": {"title": "x"}, "filter": {"camera_makes": "Canon"}}, format="json")

    assert " camera_make, " in response.json()["errors"][0]["detail"]
    assert Edit.objects.count() == 0


def test_who_may_say_what(library: Library, photo: Photo) -> None:
    visitor = factories.client_of(factories.make_member(library, "visitor"))
    role = Role.objects.create(name="moderator", permissions=[Permission.VIEW_PHOTOS, Permission.MODERATE_PHOTOS])
    user = factories.make_user()
    Membership.objects.create(library=library, user=user, role=role)
    moderator = factories.client_of(user)
    before = columns(photo)

    assert visitor.patch(f"{PHOTOS}/{photo.pk}", {"title": "x"}, format="json").status_code == 403
    assert moderator.patch(f"{PHOTOS}/{photo.pk}", {"title": "x"}, format="json").status_code == 403
    both = moderator.patch(f"{PHOTOS}/{photo.pk}", {"title": "x", "is_hidden": True}, format="json")
    assert both.status_code == 403
    assert (columns(photo), Edit.objects.count()) == (before, 0)

    assert moderator.patch(f"{PHOTOS}/{photo.pk}", {"is_hidden": True}, format="json").status_code == 200
    assert visitor.get(f"{PHOTOS}/{photo.pk}").status_code == 404
    foreign = factories.make_photo(factories.make_library())
    answer = moderator.post(EDITS, {"changes": {"title": "x"}, "photos": [str(foreign.pk)]}, format="json")
    assert answer.status_code == 404


def test_favourites_are_one_s_own(client: Client, editor: User, library: Library) -> None:
    photos = [factories.make_photo(library) for _ in range(3)]
    for _ in range(2):
        assert client.put(f"{PHOTOS}/{photos[0].pk}/favourite").status_code == 204

    marked = client.post(f"{EDITS}/favourites", {"filter": {}, "is_favourite": True}, format="json").json()
    assert marked == {"changed": 2}
    assert client.delete(f"{PHOTOS}/{photos[0].pk}/favourite").status_code == 204
    assert {one["id"] for one in client.get(f"{PHOTOS}?favourite=true").json()["results"]} == {
        str(one.pk) for one in photos[1:]
    }
    other = factories.client_of(factories.make_member(library, "visitor"))
    assert other.get(f"{PHOTOS}?favourite=true").json()["results"] == []
    assert Favourite.objects.filter(user=editor).count() == 2


def test_views_are_counted_once_an_hour(client: Client, library: Library) -> None:
    photo, other = factories.make_photo(library), factories.make_photo(library)
    cache.clear()
    for _ in range(3):
        client.get(f"{PHOTOS}/{photo.pk}")
    factories.client_of(factories.make_member(library, "visitor")).get(f"{PHOTOS}/{photo.pk}")
    client.get(f"{PHOTOS}/{other.pk}")

    assert dict(PhotoViews.objects.values_list("photo", "count")) == {photo.pk: 2, other.pk: 1}
    assert [one["id"] for one in client.get(f"{PHOTOS}?order=-views").json()["results"]] == [
        str(photo.pk),
        str(other.pk),
    ]


def test_a_deleted_photo_takes_its_history_along(client: Client, photo: Photo) -> None:
    patch(client, photo, title="x")
    photo.delete()

    assert (Revision.objects.count(), Edit.objects.count()) == (0, 1)
