"""Who may do what: every operation of the API, for everybody who may knock, as its declaration says."""

from dataclasses import dataclass
from typing import Any

import pytest
from access_operations import BODIES, Call, address, calls, operations, patterns
from access_world import Actor, World, digests, expected_status, sees
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework.views import APIView

from accounts.api.access import Declared, Seeing
from accounts.models.library import LibraryQuerySet
from gallery.api.faces import FaceViewSet
from gallery.api.photo_files import PhotoFileViewSet
from photos.models import Face

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]

# what each operation declares, once more: a declaration that is weakened is seen here
DECLARED = {
    "Public()": {
        "POST auth/token",
        "POST auth/token/refresh",
        "POST auth/token/revoke",
        "POST auth/password/reset",
        "POST auth/password/reset/confirm",
        "POST auth/invitations/accept",
        "GET auth/social/providers",
        "POST auth/social/token",
        "GET health",
        "GET exports/files/{token}",
    },
    "Access()": {
        "GET roles",
        "GET events",
        "POST events/tickets",
        "GET exports",
        "GET exports/{pk}",
        "DELETE exports/{pk}",
        "GET exports/{pk}/files/{number}",
    },
    "InPerson()": {
        "GET auth/me",
        "PATCH auth/me",
        "DELETE auth/me",
        "POST auth/password/change",
        "GET auth/second-factor",
        "POST auth/second-factor",
        "POST auth/second-factor/confirm",
        "POST auth/second-factor/disable",
        "POST auth/second-factor/recovery-codes",
        "GET auth/social/accounts",
        "DELETE auth/social/accounts/{pk}",
        "GET keys",
        "POST keys",
        "GET keys/{pk}",
        "DELETE keys/{pk}",
    },
    "RunsInstallation()": {
        "GET admin/dlq",
        "GET admin/dlq/groups",
        "GET admin/dlq/{pk}",
        "POST admin/dlq/discard",
        "POST admin/dlq/retry",
        "POST admin/dlq/{pk}/discard",
        "POST admin/dlq/{pk}/retry",
        "GET admin/stages",
        "POST admin/stages/{name}/pause",
        "POST admin/stages/{name}/resume",
        "GET admin/workers",
        "GET imports",
        "GET imports/sources",
        "GET imports/{pk}",
        "GET imports/{pk}/files",
        "POST imports",
        "POST imports/{pk}/cancel",
        "POST imports/{pk}/pause",
        "POST imports/{pk}/rescan",
        "POST imports/{pk}/resume",
    },
    "Seeing(photos.view)": {
        "GET libraries",
        "GET libraries/{pk}",
        "GET libraries/{pk}/face-analysis",
        "GET photos",
        "GET albums",
        "GET albums/{pk}",
        "GET tags",
        "GET tags/{pk}",
        "GET photos/facets",
        "GET photos/map",
        "GET photos/timeline",
        "GET photos/{pk}",
        "GET photos/{pk}/history",
        "PUT photos/{pk}/favourite",
        "DELETE photos/{pk}/favourite",
        "POST edits/favourites",
        "GET photos/duplicates",
        "GET photos/duplicates/decisions",
        "GET photos/duplicates/decisions/{pk}",
        "GET photos/{pk}/renditions/{kind}",
        "GET photos/{pk}/similar",
    },
    "Seeing(photos.edit)": {"GET edits", "GET edits/{pk}"},
    "Doing(photos.edit, photos.view)": {
        "POST photos/duplicates/decisions",
        "DELETE photos/duplicates/decisions/{pk}",
        "POST albums",
        "PATCH albums/{pk}",
        "DELETE albums/{pk}",
        "POST albums/{pk}/photos",
        "POST albums/{pk}/photos/move",
        "POST albums/{pk}/photos/remove",
        "POST edits",
        "PATCH photos/{pk}",
        "POST tags",
        "PATCH tags/{pk}",
        "DELETE tags/{pk}",
        "POST tags/{pk}/merge",
    },
    "Doing(photos.edit, photos.edit)": {"POST edits/{pk}/undo"},
    "Seeing(people.view)": {
        "GET faces/{pk}/chip",
        "GET faces/{pk}/similar",
        "GET people",
        "GET people/{pk}",
        "GET people/{pk}/photos",
        "GET people/{pk}/decisions",
        "GET decisions",
        "GET libraries/{pk}/regrouping",
        "GET faces",
        "GET faces/{pk}",
    },
    "Doing(people.edit, people.view)": {
        "PATCH people/{pk}",
        "POST people/{pk}/merge",
        "POST people/{pk}/split",
        "POST people/{pk}/confirm",
        "PATCH faces/{pk}",
        "POST faces/{pk}/reject",
        "POST faces/{pk}/confirm",
        "POST decisions/{pk}/undo",
        "POST libraries/{pk}/regrouping",
        "POST libraries/{pk}/regrouping/apply",
    },
    "Doing(photos.upload, photos.view)": {"POST photos", "POST uploads", "POST uploads/direct"},
    "Seeing(photos.upload)": {
        "GET uploads/{pk}",
        "PATCH uploads/{pk}",
        "DELETE uploads/{pk}",
        "POST uploads/{pk}/complete",
    },
    "Doing(photos.trash, photos.view)": {"DELETE photos/{pk}", "POST photos/{pk}/restore"},
    "Somewhere(people.view)": {"POST search/face"},
    "Doing(originals.download, photos.view)": {"GET photos/{pk}/original", "POST exports"},
    "Doing(processing.retry, photos.view)": {"POST photos/{pk}/retry"},
    "Doing(face_analysis.switch, photos.view)": {"POST libraries/{pk}/face-analysis", "POST libraries/{pk}/forget"},
    "Doing(face_analysis.switch, people.view)": {"GET people/{pk}/export", "POST people/{pk}/forget"},
    "Seeing(library.edit)": {"GET erasures", "GET erasures/{pk}"},
    "Doing(members.manage, photos.view)": {
        "GET libraries/{library_id}/members",
        "GET libraries/{library_id}/members/{user_id}",
        "POST libraries/{library_id}/members",
        "PATCH libraries/{library_id}/members/{user_id}",
        "GET libraries/{pk}/invitations",
        "POST libraries/{pk}/invitations",
    },
    "Doing(photos.share, photos.view)": {"POST shares"},
    "Seeing(photos.share)": {"GET shares", "GET shares/{pk}", "PATCH shares/{pk}", "DELETE shares/{pk}"},
    "Seeing(members.manage)": {"GET invitations/{pk}", "DELETE invitations/{pk}"},
    "Somewhere(audit.view)": {"GET audit"},
    "Doing(members.manage, photos.view, own)": {"DELETE libraries/{library_id}/members/{user_id}"},
    "Somewhere(processing.view)": {"GET processing/summary"},
}
# they are no part of the REST API: health and metrics ask for themselves what may be told to whom
OPEN_TO_ALL = {"", "live", "ready", "health", "health/db", "health/ai", "metrics", "api/schema", "api/docs"} | {
    "invitation",
    "password-reset",
    # to a provider of identities and back, and where somebody ends whom it did not let in
    "login-failed",
    "auth/redirect",
    "auth/google/callback",
    "auth/github/callback",
    "auth/<slug:provider_id>/callback",
    # whoever has the link of a share
    "s/<str:token>",
    "s/<str:token>/<int:position>",
    "s/<str:token>/<int:position>/original",
    "s/<str:token>/<int:position>/<slug:kind>",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """What came of one call by one actor."""

    call: str
    actor: str
    expected: int
    status: int
    changed: tuple[str, ...] = ()
    told: tuple[str, ...] = ()

    @property
    def is_right(self) -> bool:
        return (self.status, self.changed, self.told) == (self.expected, (), ())


def rows_of(call: Call) -> list[Cell]:
    """Make a call by everybody, each from the same state of a world of its own."""
    world = World()
    actors = world.actors(call.rule, call.also)
    before = digests()
    cells = []
    for actor in actors:
        block = transaction.atomic()
        block._from_testcase = True  # services that insist on a transaction of their own have one, as in any test
        with block:
            cells.append(cell(call, actor, world, before))
            transaction.set_rollback(True)
    return cells


def cell(call: Call, actor: Actor, world: World, before: dict[str, str]) -> Cell:
    response, text = respond(call, actor, world)
    expected = expected_status(call.rule, actor, allowed=call.allowed, is_list=call.is_list)
    if call.reads_credentials and actor.name == "deactivated":
        expected = 401  # also where nobody has to log in: what is sent is worth nothing
    after = digests()
    is_answered = response.status_code < 400
    may_change = is_answered and not call.name.startswith("GET")
    # the trail tells of some reading too, and views are counted
    noted = {"accounts_auditevent", "photos_photoviews"} if is_answered else set()
    changed = () if may_change else tuple(name for name in before if after[name] != before[name] and name not in noted)
    known, foreign = ({mark for mark in place.marks() if mark in text} for place in (world.place, world.elsewhere))
    told = set() if sees(call.rule, actor) and response.status_code < 400 else known
    told |= set() if sees(call.rule, actor, elsewhere=True) else foreign
    if call.is_list and not call.is_counts and isinstance(call.rule, Seeing) and sees(call.rule, actor) and not known:
        told.add("nothing of what may be seen")
    return Cell(call.name, actor.name, expected, response.status_code, changed, tuple(sorted(told)))


def respond(call: Call, actor: Actor, world: World) -> tuple[HttpResponse, str]:
    method = getattr(actor.client, call.name.split()[0].lower())
    body = {} if call.body is None else {"data": call.body(world), "format": "multipart" if call.is_form else "json"}
    headers = {"headers": call.headers(world)} if call.headers else {}
    response = method(address(call, world), **body, **headers)
    content = b"".join(response.streaming_content) if response.streaming else response.content
    if response.status_code >= 400:
        assert response["Content-Type"] == "application/problem+json"
    return response, content.decode(errors="replace")


def wrong(cells: list[Cell]) -> list[Cell]:
    return [one for one in cells if not one.is_right]


CALLS = {call.name: call for call in calls()}
ACTORS = 12


def test_every_operation_declares_who_may_call_it() -> None:
    declared: dict[str, set[str]] = {}
    for one in operations():
        # it is the declaration that is enforced, and nothing beside it
        assert tuple(one.view.permission_classes) == (Declared,), one.name
        declared.setdefault(said(one.rule), set()).add(one.name)
    assert declared == DECLARED
    assert len(CALLS) == len(calls())
    assert set(BODIES) <= {one.name for one in operations()}


def said(rule: Any) -> str:
    values = [str(getattr(rule, name)) for name in ("permission", "seeing") if hasattr(rule, name)]
    values += ["own"] if getattr(rule, "own", False) else []
    return f"{type(rule).__name__}({', '.join(values)})"


def test_there_is_no_other_way_in() -> None:
    elsewhere = {route for route, _ in patterns() if not route.startswith(("api/v1/", "admin/"))}
    assert elsewhere == OPEN_TO_ALL


def test_what_declares_nothing_answers_nobody() -> None:
    view = PhotoFileViewSet()
    view.action_map, view.access = {"get": "original"}, {}
    with pytest.raises(Exception, match="PhotoFileViewSet does not declare who may call original"):
        Declared().has_permission(type("Request", (), {"method": "GET"})(), view)


@pytest.mark.parametrize("name", CALLS)
def test_everybody_gets_what_is_declared(name: str) -> None:
    cells = rows_of(CALLS[name])
    assert len(cells) == len({one.actor for one in cells}) == ACTORS
    assert wrong(cells) == []


def test_the_matrix_is_large(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\nThe matrix of the API: {len(CALLS)} calls x {ACTORS} actors = {len(CALLS) * ACTORS} cells")  # noqa: T201
    assert len(CALLS) * ACTORS >= 650


@pytest.mark.parametrize("name", [name for name in CALLS if name.startswith("GET") and not CALLS[name].body])
def test_what_an_address_takes_can_be_asked(name: str) -> None:
    world = World()
    editor = next(one for one in world.actors(CALLS[name].rule) if one.name == "editor")
    response = editor.client.options(address(CALLS[name], world))
    assert (response.status_code, "OPTIONS" in response["Allow"]) == (200, True)


# with a check taken out the matrix is red


def test_without_the_check_of_one_operation_it_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    check = Declared.has_object_permission

    def lenient(self: Declared, request: Any, view: APIView, obj: Any) -> bool:
        return isinstance(view, PhotoFileViewSet) or check(self, request, view, obj)

    monkeypatch.setattr(Declared, "has_object_permission", lenient)
    found = wrong(rows_of(CALLS["GET photos/{pk}/original"]))
    assert {(one.actor, one.expected, one.status) for one in found} == {
        ("visitor", 403, 200),
        ("key without the scope", 403, 200),
    }
    assert wrong(rows_of(CALLS["POST photos/{pk}/retry"])) == []


def test_without_the_visibility_of_one_view_it_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FaceViewSet, "get_queryset", lambda self: Face.objects.kept())
    found = wrong(rows_of(CALLS["GET faces/{pk}/chip"]))
    assert {(one.actor, one.status) for one in found} == {
        (name, 200)
        for name in ("member of another library", "key without the scope", "key of another library", "staff")
    }


@pytest.mark.parametrize(
    ("name", "actors"),
    [
        ("GET photos", {"member of another library", "key of another library", "key without the scope", "staff"}),
        ("DELETE photos/{pk}", {"visitor", "member of another library", "key without the scope", "staff"}),
    ],
)
def test_without_the_rule_itself_it_is_red(monkeypatch: pytest.MonkeyPatch, name: str, actors: set[str]) -> None:
    def everything(self: LibraryQuerySet, user: Any, permission: str) -> QuerySet:
        return self.all() if user.is_authenticated else self.none()

    monkeypatch.setattr(LibraryQuerySet, "permitting", everything)
    assert actors <= {one.actor for one in wrong(rows_of(CALLS[name]))}


def test_a_refusal_that_changes_something_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    check = Declared.has_object_permission

    def hasty(self: Declared, request: Any, view: APIView, obj: Any) -> bool:
        type(obj).objects.filter(pk=obj.pk).update(original_filename="changed")
        return check(self, request, view, obj)

    monkeypatch.setattr(Declared, "has_object_permission", hasty)
    found = wrong(rows_of(CALLS["POST photos/{pk}/retry"]))
    assert {(one.actor, one.changed) for one in found} == {
        ("visitor", ("photos_photo",)),
        ("key without the scope", ("photos_photo",)),
    }
