"""Every operation of the API, found by walking the addresses, and how each is called in a world."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from re import sub
from typing import Any

import factories
import tus_requests as tus
from access_world import Place, World
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.views import APIView

from accounts.api.access import Access, Doing, Seeing, declared_access
from accounts.roles import Permission
from accounts.services import tokens

API = "api/v1/"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of an address, as in `GET photos/{pk}`, and the view that answers it."""

    name: str
    view: APIView

    @property
    def rule(self) -> Access:
        """What the view declares; ImproperlyConfigured if nothing."""
        return declared_access(self.view, self.name.split()[0])


@dataclass(frozen=True, slots=True)
class Call:
    """One row of the matrix: how an operation is called, by which rule, and what who may do it gets."""

    name: str
    rule: Access
    address: str
    body: Callable[[World], dict[str, Any]] | None = None
    allowed: int = 200
    is_list: bool = False
    # of a list that is counts alone, and names nothing
    is_counts: bool = False
    is_form: bool = False
    reads_credentials: bool = True
    headers: Callable[[World], dict[str, str]] | None = None
    # permissions that it takes beside that of the rule
    also: tuple[str, ...] = ()


def patterns(of: URLResolver | None = None, before: str = "") -> Iterator[tuple[str, Any]]:
    """Walk all addresses: the route from the root, and what answers it."""
    for entry in (of or get_resolver()).url_patterns:
        route = before + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from patterns(entry, route)
        elif isinstance(entry, URLPattern):
            yield route, entry.callback


def operations() -> list[Operation]:
    """Give every method of every address below /api/v1/."""
    found = []
    for route, callback in patterns():
        if not route.startswith(API):
            continue
        address = sub(r"<\w+:(\w+)>", r"{\1}", route.removeprefix(API))
        view = callback.cls(**callback.initkwargs)
        actions = getattr(callback, "actions", None)
        if actions is not None:
            view.action_map = actions
        for method in METHODS:
            if method.lower() in actions if actions is not None else hasattr(view, method.lower()):
                found.append(Operation(f"{method} {address}", view))
    return found


def _upload(world: World) -> dict[str, Any]:
    return {"library": world.place.library.pk, "file": BytesIO(factories.image_bytes())}


def _picture(_world: World) -> dict[str, Any]:
    # refused by its header, by whoever may search: nobody is asked to decode it
    return {"file": BytesIO(b"no picture")}


def _tus(world: World) -> dict[str, str]:
    """Give the headers of an upload by the tus protocol."""
    metadata = tus.metadata(library=world.place.library.pk)
    return {**tus.VERSION, "Upload-Length": "1000", "Upload-Metadata": metadata, "Upload-Offset": "0"}


def _foreign_person(world: World) -> dict[str, Any]:
    return {"person": str(world.elsewhere.person.pk)}


def _foreign_people(world: World) -> dict[str, Any]:
    return {"people": [str(world.elsewhere.person.pk)]}


REASON = {"reason": "why"}
ALIKE = {"fingerprint": "0" * 16}
# what an operation takes
BODIES: dict[str, Callable[[World], dict[str, Any]]] = {
    "POST auth/token": lambda w: {"email": w.newcomer.email, "password": factories.PASSWORD},
    "POST auth/token/refresh": lambda w: {"refresh": tokens.begin(user=w.newcomer).refresh},
    "POST auth/token/revoke": lambda w: {"refresh": tokens.begin(user=w.newcomer).refresh},
    "PATCH auth/me": lambda w: {"name": "Grace"},
    "POST auth/password/change": lambda w: {"old_password": factories.PASSWORD, "new_password": "quite another one"},
    "POST auth/second-factor": lambda w: {"password": factories.PASSWORD},
    # nobody here has one, or has begun to set one up
    "POST auth/second-factor/confirm": lambda w: {"enrolment": "x", "code": "000000"},
    "POST auth/second-factor/disable": lambda w: {"password": factories.PASSWORD, "code": "000000"},
    "POST auth/second-factor/recovery-codes": lambda w: {"password": factories.PASSWORD, "code": "000000"},
    "POST auth/social/token": lambda w: {},
    "POST auth/password/reset": lambda w: {"email": "nobody@example.org"},
    # wrong ones, whoever sends them
    "POST auth/password/reset/confirm": lambda w: {"token": "x", "password": "quite another one"},
    "POST auth/invitations/accept": lambda w: {"token": "x"},
    "POST keys": lambda w: {"name": "camera", "scopes": ["photos.view"]},
    "DELETE auth/me": lambda w: {"password": factories.PASSWORD},
    "POST libraries/{pk}/forget": lambda w: {"what": "faces"},
    "POST shares": lambda w: {"photos": [str(w.place.photo.pk)]},
    "PATCH shares/{pk}": lambda w: {"title": "Summer"},
    "POST imports": lambda w: {"library": str(w.place.library.pk), "source": "camera"},
    "POST imports/{pk}/rescan": lambda w: {},
    "POST libraries/{pk}/invitations": lambda w: {"email": "new@example.org"},
    "POST photos": _upload,
    "POST albums": lambda w: {"library": str(w.place.library.pk), "title": "Summer"},
    "PATCH albums/{pk}": lambda w: {"title": "Summer"},
    "POST albums/{pk}/photos": lambda w: {"photos": [str(w.place.photo.pk)]},
    "POST albums/{pk}/photos/remove": lambda w: {"photos": [str(w.place.photo.pk)]},
    "POST albums/{pk}/photos/move": lambda w: {"photos": [str(w.place.photo.pk)], "before": None},
    "POST tags": lambda w: {"library": str(w.place.library.pk), "name": "Summer"},
    "PATCH tags/{pk}": lambda w: {"name": "Summer"},
    "POST tags/{pk}/merge": lambda w: {"tags": [str(w.place.tag.pk)]},
    "PATCH photos/{pk}": lambda w: {"title": "Summer"},
    "POST exports": lambda w: {"photos": [str(w.place.photo.pk)]},
    "POST edits": lambda w: {"photos": [str(w.place.photo.pk)], "changes": {"title": "Summer"}},
    "POST edits/favourites": lambda w: {"filter": {"library": str(w.place.library.pk)}, "is_favourite": True},
    "POST uploads/direct": lambda w: {"library": str(w.place.library.pk), "length": 1000},
    "PATCH people/{pk}": lambda w: {"name": "Grace"},
    "POST photos/duplicates/decisions": lambda w: {"photos": [str(w.place.photo.pk), str(w.place.copy.pk)]},
    "POST search/face": _picture,
    "POST people/{pk}/merge": lambda w: {"people": [str(w.place.other_person.pk)]},
    "POST people/{pk}/split": lambda w: {"faces": [str(w.place.face.pk)]},
    "POST people/{pk}/confirm": lambda w: {},
    "PATCH faces/{pk}": lambda w: {"person": None},
    "POST faces/{pk}/reject": lambda w: {},
    "POST libraries/{pk}/regrouping": lambda w: {"threshold": 0.5},
    "POST libraries/{pk}/face-analysis": lambda w: {"enabled": False},
    "POST libraries/{library_id}/members": lambda w: {"email": w.newcomer.email},
    "PATCH libraries/{library_id}/members/{user_id}": lambda w: {"role": "visitor"},
    "POST admin/dlq/{pk}/discard": lambda w: REASON,
    "POST admin/dlq/retry": lambda w: ALIKE,
    "POST admin/dlq/discard": lambda w: ALIKE | REASON,
    "POST admin/stages/{name}/pause": lambda w: REASON,
}
# who may do it gets 200, but for these
ALLOWED = {
    "POST photos": 201,
    "POST photos/duplicates/decisions": 201,
    "DELETE photos/duplicates/decisions/{pk}": 204,
    "POST search/face": 415,
    "POST uploads": 201,
    # the originals lie on a disk here
    "POST uploads/direct": 409,
    # somebody else's
    "GET uploads/{pk}": 404,
    "PATCH uploads/{pk}": 404,
    "DELETE uploads/{pk}": 404,
    "POST uploads/{pk}/complete": 404,
    "POST auth/token/revoke": 204,
    "POST auth/second-factor/confirm": 400,
    "POST auth/second-factor/disable": 409,
    "POST auth/second-factor/recovery-codes": 409,
    "POST auth/social/token": 401,
    "POST auth/password/reset": 202,
    "POST auth/password/reset/confirm": 400,
    "POST auth/invitations/accept": 400,
    "POST keys": 201,
    # to the process that streams
    "GET events": 307,
    "POST events/tickets": 201,
    "POST exports": 202,
    # somebody else's
    "GET exports/{pk}": 404,
    "DELETE exports/{pk}": 404,
    "GET exports/{pk}/files/{number}": 404,
    # of no link that was made here
    "GET exports/files/{token}": 404,
    # somebody else's
    "GET keys/{pk}": 404,
    "DELETE keys/{pk}": 404,
    "DELETE auth/social/accounts/{pk}": 404,
    "POST libraries/{pk}/invitations": 201,
    "DELETE invitations/{pk}": 204,
    "POST libraries/{pk}/forget": 202,
    "POST people/{pk}/forget": 202,
    "POST people/{pk}/split": 201,
    "POST libraries/{pk}/regrouping": 202,
    # no diff was asked for before
    "POST libraries/{pk}/regrouping/apply": 409,
    "POST shares": 201,
    "DELETE shares/{pk}": 204,
    # no source is open here
    "POST imports": 400,
    "POST imports/{pk}/rescan": 400,
    "DELETE photos/{pk}": 204,
    "POST albums": 201,
    "DELETE albums/{pk}": 204,
    "POST albums/{pk}/photos/move": 204,
    "POST tags": 201,
    "DELETE tags/{pk}": 204,
    "PUT photos/{pk}/favourite": 204,
    "DELETE photos/{pk}/favourite": 204,
    "POST libraries/{library_id}/members": 201,
    "DELETE libraries/{library_id}/members/{user_id}": 204,
}
# what it cannot be asked without
ADDRESSES = {"GET photos/map": "photos/map?zoom=3"}
# permissions that they take beside that of their rule
ALSO = dict.fromkeys(("GET people/{pk}/export", "POST people/{pk}/forget"), (Permission.EDIT_PEOPLE,))
MEMBERS = "libraries/{library_id}/members"


def calls() -> list[Call]:
    """Give a row for every operation, and those for what lies within one."""
    declared = [
        Call(
            name=one.name,
            rule=one.rule,
            address=ADDRESSES.get(one.name, one.name.split()[1]),
            body=BODIES.get(one.name),
            allowed=ALLOWED.get(one.name, 200),
            is_list="{" not in one.name,
            is_counts=one.name in {"GET photos/timeline", "POST edits/favourites"},
            is_form=one.name in {"POST photos", "POST search/face"},
            also=ALSO.get(one.name, ()),
            reads_credentials=bool(one.view.authentication_classes),
            headers=_tus if "uploads" in one.name else None,
        )
        for one in operations()
    ]
    return [*declared, *within()]


def within() -> list[Call]:
    """Give the rows for nested ids, for filters by ids, and for what lies in the trash."""
    see_photos, see_people = Seeing(Permission.VIEW_PHOTOS), Seeing(Permission.VIEW_PEOPLE)
    manage, trash = Doing(Permission.MANAGE_MEMBERS), Permission.TRASH_PHOTOS
    decide = Doing(Permission.EDIT_PEOPLE, seeing=Permission.VIEW_PEOPLE)
    role = BODIES["PATCH libraries/{library_id}/members/{user_id}"]
    return [
        # filters by an id
        *(
            Call(f"GET {address}", rule, address, is_list=True)
            for address, rule in {
                "photos?library={library_id}": see_photos,
                "photos?person={person}": see_people,
                "photos?library={library_id}&has_faces=true": see_people,
                "photos?camera_make={make}": see_photos,
                "photos?q={make}": see_photos,
                "photos?tag={tag}": see_photos,
                "photos?album={album}": see_photos,
                "tags?library={library_id}": see_photos,
                "albums?library={library_id}": see_photos,
                "photos?near=1.5,2.5,10": see_photos,
                "photos/facets?library={library_id}": see_photos,
                "photos/map?zoom=3&library={library_id}": see_photos,
                "photos/duplicates?library={library_id}": see_photos,
                "photos/duplicates/decisions?library={library_id}": see_photos,
                "people?library={library_id}": see_people,
                "people?is_named=true&library={library_id}": see_people,
                "faces?photo={photo}": see_people,
                "faces?person={person}": see_people,
                "faces?library={library_id}": see_people,
                "decisions?library={library_id}": see_people,
            }.items()
        ),
        # an id within another one
        Call("PATCH member of another library", manage, f"{MEMBERS}/{{foreign_user}}", role, allowed=404),
        Call("DELETE member of another library", manage, f"{MEMBERS}/{{foreign_user}}", allowed=404),
        Call("DELETE nobody", manage, f"{MEMBERS}/00000000-0000-7000-8000-000000000000", allowed=404),
        # people and faces that a body names
        Call("POST merge somebody foreign", decide, "people/{person}/merge", _foreign_people, allowed=404),
        Call("PATCH face to somebody foreign", decide, "faces/{face}", _foreign_person, allowed=404),
        Call("POST reject somebody foreign", decide, "faces/{face}/reject", _foreign_person, allowed=404),
        Call("GET rendition that is none", see_photos, "photos/{photo}/renditions/x1", allowed=404),
        # what lies in the trash is there for those who may bring it back, and there alone
        Call("POST restore trashed", Doing(trash, seeing=trash), "photos/{trashed}/restore"),
        Call("DELETE trashed", Doing(trash, seeing=trash), "photos/{trashed}", allowed=204),
        *(
            Call(f"GET {address}", Seeing(trash), address, is_list=True)
            for address in ("photos?trashed=true", "photos?trashed=true&library={library_id}")
        ),
        Call("GET trashed", see_photos, "photos/{trashed}", allowed=404),
        Call("GET rendition of trashed", see_photos, "photos/{trashed}/renditions/preview", allowed=404),
        Call("GET original of trashed", see_photos, "photos/{trashed}/original", allowed=404),
        Call("POST retry trashed", see_photos, "photos/{trashed}/retry", allowed=404),
        # it takes two permissions; the second one decides
        Call(
            "DELETE for good",
            Doing(Permission.PURGE_PHOTOS),
            "photos/{photo}?permanently=true",
            also=(trash,),
            allowed=204,
        ),
    ]


def address(call: Call, world: World) -> str:
    """Fill the ids of the library that is asked for into an address."""
    place: Place = world.place
    subjects = {
        "photos": place.photo, "people": place.person, "faces": place.face, "libraries": place.library,
        "admin": place.run, "keys": place.key, "invitations": place.invitation,
        "shares": place.share, "erasures": place.receipt, "edits": place.edit, "albums": place.album,
        "tags": place.tag, "imports": place.imported, "auth": place.linked, "uploads": place.upload,
        "decisions": place.decision, "exports": place.export,
    }  # fmt: skip
    if call.address.startswith("photos/duplicates/decisions"):
        subjects["photos"] = place.duplicate_decision
    subject = subjects.get(call.address.split("/", maxsplit=1)[0].split("?", maxsplit=1)[0], place.library)
    return f"/{API}" + call.address.format(
        pk=subject.pk,
        library_id=place.library.pk,
        user_id=place.member.pk,
        foreign_user=world.elsewhere.member.pk,
        person=place.person.pk,
        face=place.face.pk,
        photo=place.photo.pk,
        trashed=place.trashed.pk,
        make=place.photo.metadata.camera_make,
        tag=place.tag.name,
        album=place.album.pk,
        kind="preview",
        name="exif",
        number=1,
        token="signed-by-nobody",
    )
