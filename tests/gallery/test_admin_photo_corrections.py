"""Correcting a photo in the admin: by the rules of the API, with its history, and without taking back others' words."""

from datetime import UTC, datetime
from http import HTTPStatus

import factories
import pytest
from admin_clients import ask, found, offered, staff_client
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import AuditAction, AuditEvent, Library, User
from accounts.roles import Permission
from photos.models import Edit, Photo, Revision, Tag
from photos.services import shown
from processing.services import photo_edits

pytestmark = pytest.mark.django_db

PHOTOS = "/admin/photos/photo/"


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def photo(library: Library) -> Photo:
    taken = datetime(2020, 5, 1, 10, 30, tzinfo=UTC)
    photo = factories.make_photo(library, original_filename="sea.jpg")
    factories.make_metadata(photo, title="IMG_0001", taken_at=taken, taken_at_offset=120, latitude=48.5, longitude=2.25)
    shown.refresh(photo_ids=[photo.pk])
    return Photo.objects.get(pk=photo.pk)


def address(photo: Photo) -> str:
    return f"{PHOTOS}{photo.pk}/correct/form/"


def filled(client: Client, photo: Photo, **changed: object) -> dict[str, object]:
    """Fill the form in as a browser has it, and change some of it."""
    form = client.get(address(photo)).context["form"]
    given: dict[str, object] = {}
    for field in form:
        if field.name == "restored":
            continue
        if field.name != "is_hidden":
            given[field.html_name] = given[field.html_initial_name] = field.value() or ""
        elif field.value():
            given[field.html_name] = given[field.html_initial_name] = "True"
    return {name: value for name, value in {**given, **changed}.items() if value is not None}


def everything() -> list[object]:
    photos = Photo.objects.values_list("pk", "title", "caption", "rating", "taken_at", "corrections", "is_hidden")
    return [
        sorted(rows, key=str)
        for rows in (photos, Edit.objects.values_list(), Revision.objects.values_list(), Tag.objects.values_list())
    ]


def test_the_form_shows_what_is_shown(admin: Client, photo: Photo) -> None:
    tag = factories.make_tag(photo.library, "Summer", photo)
    form = admin.get(address(photo)).context["form"]
    assert {field.name: field.value() for field in form} == {
        "title": "IMG_0001", "caption": "", "tags": tag.name, "rating": "", "taken_at": "2020-05-01 12:30:00+02:00",
        "position": "48.5, 2.25", "is_hidden": False,
    }  # fmt: skip


def test_a_photo_is_corrected_by_the_service_and_the_page_tells_of_it(admin: Client, photo: Photo) -> None:
    said = filled(
        admin, photo, title="The sea", caption="Two\r\nlines", tags="Summer\r\n\r\n  At sea ", rating="4",
        taken_at="2021-01-02 03:04:05", position="-1.5, 2", is_hidden="on",
    )  # fmt: skip
    done = admin.post(address(photo), said, follow=True)
    assert done.redirect_chain == [(f"{PHOTOS}{photo.pk}/change/", HTTPStatus.FOUND)]
    photo.refresh_from_db()
    assert (photo.title, photo.caption, photo.rating, photo.is_hidden) == ("The sea", "Two\r\nlines", 4, True)
    assert (photo.taken_at, photo.taken_at_offset) == (datetime(2021, 1, 2, 3, 4, 5, tzinfo=UTC), None)
    assert (photo.latitude, photo.longitude, photo.tag_names) == (-1.5, 2.0, "At sea Summer")
    [edit] = Edit.objects.all()
    assert edit.by.is_superuser
    assert AuditEvent.objects.get(action=AuditAction.ADMIN_CHANGED).subject_id == str(photo.pk)
    text = done.content.decode()
    assert text.count(">corrected</span>") == 5
    [(told, rows)] = done.context["history"]
    assert told == edit
    assert ("Title", "IMG_0001", "The sea") in rows
    assert ("Position", "48.50000, 2.25000", "-1.50000, 2.00000") in rows
    assert ("Hidden from visitors", "no", "yes") in rows

    ask(admin, f"/admin/photos/edit/{edit.pk}/undo/")

    photo.refresh_from_db()
    assert (photo.title, photo.caption, photo.corrections, photo.is_hidden) == ("IMG_0001", "", {}, False)
    text = admin.get(f"{PHOTOS}{photo.pk}/change/").content.decode()
    assert ">corrected</span>" not in text
    assert "taken back" in text


def test_only_what_was_changed_is_said(admin: Client, photo: Photo) -> None:
    admin.post(address(photo), filled(admin, photo, title="The sea"))
    assert Edit.objects.get().changes == {"title": "The sea"}
    before = everything()
    response = admin.post(address(photo), filled(admin, photo), follow=True)
    assert [str(one) for one in response.context["messages"]] == ["Nothing was changed."]
    assert everything() == before


def test_fields_go_back_to_what_the_file_says_or_are_emptied(admin: Client, photo: Photo) -> None:
    admin.post(address(photo), filled(admin, photo, title="The sea", position="", rating="3"))
    photo.refresh_from_db()
    assert (photo.title, photo.latitude, photo.rating) == ("The sea", None, 3)
    form = admin.get(address(photo)).context["form"]
    assert [name for name, _label in form.fields["restored"].choices] == ["title", "rating", "position"]
    admin.post(address(photo), {**filled(admin, photo, rating=""), "restored": ["title", "position"]})
    photo.refresh_from_db()
    assert (photo.title, photo.latitude, photo.rating, photo.corrections) == ("IMG_0001", 48.5, None, {})


def test_what_somebody_said_meanwhile_is_not_taken_back(admin: Client, photo: Photo, library: Library) -> None:
    editor = factories.make_member(library, "editor")
    opened = filled(admin, photo)
    photo_edits.edit_photos(
        photos=[(library.pk, photo.pk)], said={"title": "Said meanwhile", "rating": 5, "is_hidden": True}, by=editor
    )
    before = everything()
    # what this one did not touch stays as the other said
    refused = admin.post(address(photo), {**opened, "title": "Mine"})
    assert refused.status_code == HTTPStatus.OK
    assert list(refused.context["form"].errors) == ["title"]
    assert everything() == before
    admin.post(address(photo), {**opened, "caption": "Mine"})
    photo.refresh_from_db()
    assert (photo.title, photo.caption, photo.rating, photo.is_hidden) == ("Said meanwhile", "Mine", 5, True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", "x" * 1001),
        ("rating", "6"),
        ("taken_at", "yesterday"),
        ("taken_at", "2020-05-01 12:30:00+23:00"),
        ("position", "48.5"),
        ("position", "48.5, far"),
        ("position", "91, 2"),
        ("position", "1, 2, 3"),
        ("position", "nan, 2"),
        ("tags", "\r\n".join(f"tag {number}" for number in range(101))),
        ("tags", "x" * 256),
    ],
)
def test_what_the_api_refuses_is_refused_here(admin: Client, photo: Photo, field: str, value: str) -> None:
    before = everything()
    response = admin.post(address(photo), filled(admin, photo, **{field: value, "caption": "Said as well"}))
    assert response.status_code == HTTPStatus.OK
    assert list(response.context["form"].errors) == [field]
    assert everything() == before
    assert not AuditEvent.objects.filter(action=AuditAction.ADMIN_CHANGED).exists()


def test_who_may_hide_alone_and_who_may_write_alone(photo: Photo, library: Library) -> None:
    for name, permission in (("hider", Permission.MODERATE_PHOTOS), ("writer", Permission.EDIT_PHOTOS)):
        factories.Role.objects.create(name=name, permissions=[Permission.VIEW_PHOTOS, permission])
    writer = staff_client(library, "writer")
    assert "is_hidden" not in writer.get(address(photo)).context["form"].fields
    writer.post(address(photo), {**filled(writer, photo, title="The sea"), "is_hidden": "on"})
    hider = staff_client(library, "hider")
    assert list(hider.get(address(photo)).context["form"].fields) == ["is_hidden"]
    hider.post(address(photo), {"is_hidden": "on", "title": "Mine", "initial-title": "The sea"})
    photo.refresh_from_db()
    assert (photo.title, photo.is_hidden) == ("The sea", True)
    # who may not hide does not see it any more
    assert writer.get(address(photo)).status_code == HTTPStatus.NOT_FOUND


def test_who_may_do_neither_is_refused_and_trash_is_not_corrected(
    admin: Client, photo: Photo, library: Library
) -> None:
    given = filled(admin, photo, title="Mine")
    before = everything()
    visitor, foreign = staff_client(library, "visitor"), staff_client(factories.make_library(), "admin")
    assert "correct" not in offered(visitor, f"{PHOTOS}{photo.pk}/change/")
    assert visitor.get(address(photo)).status_code == HTTPStatus.FORBIDDEN
    assert visitor.post(address(photo), given).status_code == HTTPStatus.FORBIDDEN
    assert foreign.post(address(photo), given).status_code == HTTPStatus.NOT_FOUND
    assert everything() == before
    Photo.objects.filter(pk=photo.pk).update(trashed_at=timezone.now())
    assert "correct" not in offered(admin, f"{PHOTOS}{photo.pk}/change/")
    done = admin.post(address(photo), given, follow=True)
    assert [str(one) for one in done.context["messages"]] == ["It lies in the trash: bring it back first."]
    assert Edit.objects.count() == 0


def test_nothing_is_said_without_the_token(photo: Photo) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    before = everything()
    assert client.post(address(photo), {"title": "x", "initial-title": "IMG_0001"}).status_code == HTTPStatus.FORBIDDEN
    assert everything() == before


def test_corrected_and_hidden_photos_are_found(admin: Client, photo: Photo, library: Library) -> None:
    editor: User = factories.make_member(library, "admin")
    hidden, other = factories.make_photo(library), factories.make_photo(library)
    photo_edits.edit_photos(photos=[(library.pk, photo.pk)], said={"title": "The sea"}, by=editor)
    photo_edits.edit_photos(photos=[(library.pk, hidden.pk)], said={"is_hidden": True}, by=editor)
    assert found(admin, f"{PHOTOS}?corrected=1") == [photo]
    assert found(admin, f"{PHOTOS}?corrected=hidden") == [hidden]
    assert found(admin, PHOTOS) == [other, hidden, photo]


def test_the_page_costs_the_same_queries_however_long_the_history_is(
    admin: Client, photo: Photo, library: Library
) -> None:
    editor = factories.make_member(library, "admin")

    def say(*titles: str) -> None:
        for title in titles:
            photo_edits.edit_photos(photos=[(library.pk, photo.pk)], said={"title": title}, by=editor)

    page = f"{PHOTOS}{photo.pk}/change/"
    say("one")
    admin.get(page)
    with CaptureQueriesContext(connection) as few:
        admin.get(page)
    say(*(f"title {number}" for number in range(24)))
    with CaptureQueriesContext(connection) as many:
        history = admin.get(page).context["history"]
    assert (len(history), len(many)) == (20, len(few))
