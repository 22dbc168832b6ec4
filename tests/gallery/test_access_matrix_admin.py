"""The admin, for staff of another library with every permission of Django's: nothing foreign is shown or changed."""

from collections.abc import Iterator
from dataclasses import dataclass
from re import sub
from typing import Any
from urllib.parse import quote

import factories
import pytest
from access_operations import patterns
from access_world import Place, digests
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import transaction
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client, RequestFactory

from accounts.models import AuditEvent, ErasureReceipt, Invitation, Library, User
from gallery.admin import photos as photo_admin
from gallery.models import Album, Share
from photos.models import (
    DuplicateDecision,
    DuplicateGroup,
    Edit,
    Face,
    Person,
    PersonDecision,
    Photo,
    Tag,
)
from processing.models import LibraryRun, StageRun, Upload

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]

LISTS = "/admin/{}/{}/"
# what the admin notes of every save, and the trail of what led to another page
NOTED = {"django_admin_log", "accounts_auditevent"}
# logging out ends the session that asks
LEFT_OUT = {"admin/logout/", "admin/(?P<url>.*)$"}
SUBMITTED = {
    "_form_submitted": "True", "post": "yes", "reason": "why", "stage": "exif", "act": "confirm", "sure": "yes",
    "title": "Otherwise",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """One cell: a page of the admin, asked for or posted to."""

    method: str
    address: str
    body: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return " ".join([self.method, self.address, *(f"{name}={value}" for name, value in self.body)])


def members_of(place: Place) -> dict[type[Model], Model]:
    """Give the row of the place that the pages of each model are asked for."""
    rows = (
        place.library, place.photo, place.person, place.face, place.run, place.library_run, place.member, place.event,
        place.share, place.receipt, place.invitation, place.upload, place.tag, place.album, place.edit, place.group,
        place.decision, place.duplicate_decision,
    )  # fmt: skip
    return {type(row): row for row in rows}


def filled(route: str, place: Place) -> str | None:
    """Fill the ids of a place into an address of the admin; None for one of a model that belongs to no library."""
    parts = route.split("/")
    model = next(
        (one for one in admin.site._registry if parts[1:3] == [one._meta.app_label, one._meta.model_name]), None
    )
    row = members_of(place).get(model)
    if model is not None and row is None and "<" in route:
        return None
    values = {
        "object_id": row, "photo_id": place.photo, "face_id": place.face, "id": row, "content_type_id": None,
    }  # fmt: skip
    names = {"kind": "preview", "work": "exif", "ledger": "stage", "extra_context": "x", "app_label": "photos"}
    for name in {*values, *names}:
        value = values[name].pk if values.get(name) is not None else names.get(name, place.photo.pk)
        route = sub(rf"<(\w+:)?{name}>|\(\?P<{name}>[^)]*\)", str(value), route)
    route = route.replace("\\", "").rstrip("$").replace("^", "")
    return f"/{route}"


def pages(place: Place) -> Iterator[Request]:
    """Walk every address of the admin, with the ids of a place."""
    group = f"?work=exif&fingerprint={place.fingerprint}&library={place.library.pk}"
    for route, _ in patterns():
        if not route.startswith("admin/") or route in LEFT_OUT:
            continue
        address = filled(route, place)
        if address is None:
            continue
        address += group if "dead_letters" in address else ""
        yield Request("get", address)
        yield Request("post", address, (*SUBMITTED.items(), *rows_named(place)))


def rows_named(place: Place) -> Iterator[tuple[str, str]]:
    """Give what a form names other rows of a place by."""
    yield "face", str(place.face.pk)
    yield "other", str(place.other_person.pk)
    yield "into", str(place.tag.pk)


def actions(place: Place) -> Iterator[Request]:
    """Try every action of every list on a row of a place, with and without its dialog."""
    for model, row in members_of(place).items():
        address = LISTS.format(model._meta.app_label, model._meta.model_name)
        request = RequestFactory().get(address)
        request.user = User(is_superuser=True, is_staff=True)
        for action in admin.site._registry[model].get_actions(request):
            named = dict(rows_named(place))
            chosen = {"action": action, "_selected_action": str(row.pk), **SUBMITTED, **named}
            for query in ("", "?trash=1"):
                yield Request("post", address + query, tuple(chosen.items()))


def searches(place: Place) -> Iterator[Request]:
    """Look for the rows of a place by words, by the values of filters, and where a form offers rows."""
    for model, row in members_of(place).items():
        address = LISTS.format(model._meta.app_label, model._meta.model_name)
        words = (
            str(row.pk), place.photo.original_filename, place.person.name, place.library.name, place.member.email,
            place.tag.name, place.album.title,
        )  # fmt: skip
        for word in words:
            yield Request("get", f"{address}?q={quote(word)}")
        for path in ("library", "photo__library", "person"):
            value = place.person.pk if path == "person" else place.library.pk
            yield Request("get", f"{address}?{path}__id__exact={value}")
    linked = {
        "photos/photo": {"tags__id__exact": place.tag, "albums__id__exact": place.album, "edit": place.edit},
        "photos/persondecision": {"about": place.person},
    }
    for model in ("photos/tag", "photos/edit", "gallery/album", "photos/duplicategroup", "photos/duplicatedecision"):
        linked[model] = {"photo": place.photo}
    for model, rows in linked.items():
        for name, row in rows.items():
            yield Request("get", f"/admin/{model}/?{name}={row.pk}")
    offered = [
        ("accounts", "membership", "user", place.member.email),
        ("accounts", "membership", "library", place.library.name),
        ("photos", "face", "person", place.person.name),
        ("photos", "photo", "library", place.library.name),
        ("photos", "phototag", "tag", place.tag.name),
        ("gallery", "albumphoto", "album", place.album.title),
    ]
    for app, model, field, word in offered:
        query = f"app_label={app}&model_name={model}&field_name={field}&term={quote(word)}"
        yield Request("get", f"/admin/autocomplete/?{query}")
        yield Request("get", f"/admin/autocomplete/?of_library={place.library.pk}&{query}")


@dataclass(frozen=True, slots=True)
class Cell:
    """What came of one request."""

    request: str
    status: int
    changed: tuple[str, ...]
    told: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        return self.status < 500 and not self.changed and not self.told


def cells(user: User, place: Place, requests: Iterator[Request]) -> list[Cell]:
    """Send requests as a user, each from the same state."""
    client = Client()
    client.force_login(user)
    before = digests()
    found = []
    for request in requests:
        with transaction.atomic():
            response = getattr(client, request.method)(request.address, dict(request.body))
            after = digests()
            transaction.set_rollback(True)
        changed = tuple(name for name in before if after[name] != before[name] and name not in NOTED)
        # a message says what was asked for, on the next page
        client.cookies.pop("messages", None)
        found.append(Cell(str(request), response.status_code, changed, told(response, request, place)))
    return found


def told(response: HttpResponse, request: Request, place: Place) -> tuple[str, ...]:
    """Give what a page says of a place, beside what was asked with: a page repeats the words of a search."""
    if response.streaming:
        return ("bytes of a file",) if b"".join(response.streaming_content).strip() not in (b"[]", b"") else ()
    asked = request.address + str(request.body)
    text = response.content.decode(errors="replace")
    shown = (
        {str(row.pk) for row in response.context["cl"].result_list}
        if response.context and "cl" in response.context
        else set()
    )
    marks = place.marks()
    return tuple(
        sorted(
            {mark for mark in marks if mark in text and quote(mark) not in asked and mark not in asked} | shown & marks
        )
    )


def staff_of(place: Place | None) -> User:
    """Make somebody whom the admin lets do everything, and who is an admin of a place, if any."""
    user = factories.make_user(is_staff=True) if place is None else place.admin
    User.objects.filter(pk=user.pk).update(is_staff=True)
    user.user_permissions.set(Permission.objects.all())
    return User.objects.get(pk=user.pk)


@pytest.mark.parametrize("belongs", [True, False])
@pytest.mark.parametrize(("kind", "count"), [(pages, 360), (actions, 30), (searches, 200)])
def test_nothing_foreign_is_shown_or_changed(
    kind: Any, count: int, belongs: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    place, elsewhere = Place(), Place()
    found = cells(staff_of(elsewhere if belongs else None), place, kind(place))
    with capsys.disabled():
        print(f"\nThe matrix of the admin, {kind.__name__}: {len(found)} cells")  # noqa: T201
    assert len(found) >= count
    assert [one for one in found if not one.is_right] == []


def test_their_own_is_shown() -> None:
    place = Place()
    found = cells(staff_of(place), place, (one for one in pages(place) if one.method == "get"))
    telling = {one.request.split()[1].split("?")[0] for one in found if one.told}
    for model, row in members_of(place).items():
        address = LISTS.format(model._meta.app_label, model._meta.model_name)
        assert {address, f"{address}{row.pk}/change/"} <= telling
    assert {f"/admin/photos/photo/{place.photo.pk}/original/", "/admin/dead_letters/"} <= telling


def test_every_model_with_rows_of_a_library_is_asked_for() -> None:
    installation = {"apikey", "export", "import", "group", "role", "modelselection", "workerpresence"}
    of_libraries = (
        AuditEvent, Library, User, Photo, Person, Face, StageRun, LibraryRun, Share, ErasureReceipt, Invitation,
        Upload, Tag, Album, Edit, DuplicateGroup, DuplicateDecision, PersonDecision,
    )  # fmt: skip
    assert {model._meta.model_name for model in admin.site._registry} - installation == {
        model._meta.model_name for model in of_libraries
    }


def test_without_the_visibility_of_one_page_it_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    place, elsewhere = Place(), Place()
    monkeypatch.setattr(photo_admin, "visible_photos", lambda user, permission=None: Photo.objects.all())
    found = cells(staff_of(elsewhere), place, iter([*pages(place), *actions(place)]))
    wrong = [one for one in found if not one.is_right]
    assert any(one.told for one in wrong if one.request == "get /admin/photos/photo/")
    assert any("photos_photo" in one.changed for one in wrong)
