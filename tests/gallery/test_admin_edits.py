"""Edits in the admin: who said what of how many photos, and taking it back."""

from http import HTTPStatus

import factories
import pytest
from admin_clients import DIALOG, ask, cost, found, offered, staff_client
from django.test import Client

from accounts.models import AuditAction, AuditEvent, Library, User
from accounts.roles import Permission
from gallery.admin.edit_words import asked_for
from photos.models import Edit, Photo, Revision
from processing.models import LibraryRun
from processing.pipeline import library_work
from processing.services import photo_edits

pytestmark = pytest.mark.django_db

EDITS = "/admin/photos/edit/"
PHOTOS = "/admin/photos/photo/"


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def editor(library: Library) -> User:
    return factories.make_member(library, "admin")


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    return client


def edit(by: User, *photos: Photo, **said: object) -> Edit:
    [made] = photo_edits.edit_photos(photos=[(one.library_id, one.pk) for one in photos], said=said, by=by)
    return made


def everything() -> list[object]:
    photos = Photo.objects.values_list("pk", "title", "corrections", "is_hidden", "tag_names")
    return [sorted(rows, key=str) for rows in (Edit.objects.values_list(), Revision.objects.values_list(), photos)]


def test_edits_are_listed_with_what_was_said_of_how_many_photos(admin: Client, library: Library, editor: User) -> None:
    one, two = factories.make_photo(library), factories.make_photo(library)
    titled = edit(editor, one, two, title="The sea", add_tags=["Summer"])
    hidden = edit(editor, two, is_hidden=True)
    text = admin.get(EDITS).content.decode()
    for said in ("Title: The sea", "Tags put on: Summer", "Hidden from visitors: yes", editor.email):
        assert said in text
    assert {row.pk: row.photo_count for row in found(admin, EDITS)} == {hidden.pk: 1, titled.pk: 2}
    assert found(admin, f"{EDITS}?photo={one.pk}") == [titled]
    assert found(admin, f"{EDITS}?q={editor.email}") == [hidden, titled]
    assert found(admin, f"{EDITS}?q=nobody") == []
    assert set(found(admin, f"{PHOTOS}?edit={titled.pk}")) == {one, two}
    assert found(admin, f"{PHOTOS}?edit=x") == []
    page = admin.get(f"{EDITS}{titled.pk}/change/")
    rows = {photo.pk: rows for photo, _picture, rows in page.context["revisions"]}
    assert rows[one.pk] == [("Title", "-", "The sea"), ("Tags", "-", "Summer")]
    assert f"{PHOTOS}?edit={titled.pk}" in page.content.decode()


def test_edits_cost_the_same_queries_however_many_they_are(admin: Client, library: Library, editor: User) -> None:
    def make(count: int) -> None:
        for _ in range(count):
            edit(editor, factories.make_photo(library), title=f"Title {Edit.objects.count()}")

    make(3)
    admin.get(EDITS)
    few = cost(admin, EDITS, rows=3)
    make(27)
    # session, user, dead letters of both ledgers, count, edits
    assert (few, cost(admin, EDITS, rows=30)) == (6, 6)


def test_an_edit_is_taken_back_but_for_what_was_changed_since(admin: Client, library: Library, editor: User) -> None:
    one, two = (factories.make_photo(library) for _ in range(2))
    titled = edit(editor, one, two, title="The sea")
    edit(editor, two, title="The lake")
    assert offered(admin, f"{EDITS}{titled.pk}/change/") == {"undo"}

    said = ask(admin, f"{EDITS}{titled.pk}/undo/")

    assert said == [
        "It is taken back.", "1 photo is as before.", "1 photo was changed since, and keeps that.",
    ]  # fmt: skip
    assert dict(Photo.objects.values_list("pk", "title")) == {one.pk: "", two.pk: "The lake"}
    back = Edit.objects.get(undoes=titled)
    assert back.by.is_superuser
    assert AuditEvent.objects.get(action=AuditAction.ADMIN_CHANGED).subject_id == str(titled.pk)
    assert offered(admin, f"{EDITS}{titled.pk}/change/") == set()
    assert found(admin, f"{EDITS}?state=undone") == [titled]
    assert found(admin, f"{EDITS}?state=undoing") == [back]
    before = everything()
    assert ask(admin, f"{EDITS}{titled.pk}/undo/") == [
        "This edit has been taken back. Take that back to have it again."
    ]
    assert everything() == before
    assert ask(admin, f"{EDITS}{back.pk}/undo/")[0] == "It is taken back."
    assert Photo.objects.get(pk=one.pk).title == "The sea"


def test_an_edit_of_very_many_says_how_far_it_is(
    admin: Client, library: Library, editor: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_edits, "AT_ONCE", 1)
    photos = [factories.make_photo(library) for _ in range(3)]
    made = edit(editor, *photos, rating=5)
    assert found(admin, f"{EDITS}?state=running") == [made]
    run = LibraryRun.objects.get(kind="edit")
    link = f'href="/admin/processing/libraryrun/{run.pk}/change/">{run.get_state_display()}</a>'
    assert link in admin.get(f"{EDITS}{made.pk}/change/").content.decode()
    assert library_work.work(kind="edit", task_id="t", worker="w") == 1
    assert found(admin, f"{EDITS}?state=running") == []
    text = admin.get(f"{EDITS}{made.pk}/change/").content.decode()
    assert "changed 3" in text
    assert found(admin, EDITS)[0].photo_count == 3


def test_rights_are_those_that_the_edit_took(library: Library, editor: User) -> None:
    photo = factories.make_photo(library)
    titled, hidden = edit(editor, photo, title="The sea"), edit(editor, photo, is_hidden=True)
    before = everything()
    factories.Role.objects.create(name="writer", permissions=[Permission.VIEW_PHOTOS, Permission.EDIT_PHOTOS])
    writer, visitor = staff_client(library, "writer"), staff_client(library, "visitor")
    foreign = staff_client(factories.make_library(), "admin")
    assert found(writer, EDITS) == [hidden, titled]
    assert offered(writer, f"{EDITS}{hidden.pk}/change/") == set()
    assert writer.post(f"{EDITS}{hidden.pk}/undo/", DIALOG).status_code == HTTPStatus.FORBIDDEN
    # hidden from them, so nothing of it is told
    assert writer.get(f"{EDITS}{titled.pk}/change/").context["revisions"] == []
    for client in (visitor, foreign):
        assert found(client, EDITS) == []
        assert client.post(f"{EDITS}{titled.pk}/undo/", DIALOG).status_code == HTTPStatus.NOT_FOUND
    assert everything() == before


def test_nothing_is_taken_back_by_following_a_link(admin: Client, library: Library, editor: User) -> None:
    made = edit(editor, factories.make_photo(library), title="The sea")
    before = everything()
    assert admin.get(f"{EDITS}{made.pk}/undo/?_form_submitted=True").status_code == HTTPStatus.OK
    assert everything() == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"title": None}, [("Title", "as the file says")]),
        ({"position": {"latitude": None, "longitude": None}}, [("Position", "none")]),
        ({"position": {"latitude": 1.5, "longitude": -2.0}}, [("Position", "1.50000, -2.00000")]),
        ({"shift_taken_at": -93_784}, [("Clock moved by", "-1 d 2 h 3 min 4 s")]),
        ({"taken_at": "2020-05-01T12:30:00+02:00"}, [("Taken", "2020-05-01 12:30:00+02:00")]),
        ({"is_hidden": False, "rating": 0}, [("Rating", "0"), ("Hidden from visitors", "no")]),
        ({"caption": "x" * 300, "tags": []}, [("Caption", "x" * 199 + "…"), ("Tags", "-")]),
    ],
)
def test_what_was_asked_for_is_said_in_words(changes: dict[str, object], words: list[tuple[str, str]]) -> None:
    assert asked_for(changes) == words
