"""Who may do what: every operation, for everybody who may knock."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import factories
import pytest
from django.test import Client
from django.urls import get_resolver
from rest_framework.test import APIClient

from accounts.models import AuditAction, AuditEvent, Invitation, Library, User
from accounts.services import audit
from photos.models import Face, Person, Photo
from processing.models import RunState, StageRun

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]


class World:
    """A library with one of everything, and everybody who may knock."""

    def __init__(self) -> None:
        self.library: Library = factories.make_library()
        self.photo: Photo = factories.make_photo(self.library, data=b"original")
        factories.make_rendition(self.photo, "preview", data=b"picture")
        self.run: StageRun = factories.make_run(self.photo, "exif", RunState.DEAD)
        self.person: Person = factories.make_person(self.library)
        self.invitation: Invitation = factories.make_invitation(self.library)
        self.face: Face = factories.make_face(self.photo, person=self.person, chip=b"chip")
        audit.record(action=AuditAction.MEMBER_ADDED, library_id=self.library.pk)
        self.event = AuditEvent.objects.get(library_id=self.library.pk)

    def rows(self) -> tuple[Any, ...]:
        return (self.library, self.photo, self.person, self.run, self.event, self.invitation)

    def client(self, who: str) -> Client:
        if who == "anonymous":
            return APIClient()
        if who == "stranger":
            return factories.client_of(factories.make_member(factories.make_library(), "admin"))
        if who == "superuser":
            return factories.client_of(factories.make_user(is_superuser=True))
        if who == "deactivated":
            user = factories.make_member(self.library, "admin")
            client = factories.client_of(user)
            User.objects.filter(pk=user.pk).update(is_active=False)
            return client
        return factories.client_of(factories.make_member(self.library, who))


def upload(client: Client, world: World) -> Any:
    body = {"library": world.library.pk, "file": BytesIO(factories.image_bytes())}
    return client.post("/api/v1/photos", body, format="multipart")


WHO = ("anonymous", "deactivated", "stranger", "visitor", "editor", "admin", "superuser")

# for superusers alone
ADMINISTRATION: dict[str, Callable[[Client, World], Any]] = {
    "admin/dlq": lambda c, w: c.get("/api/v1/admin/dlq"),
    "admin/dlq/groups": lambda c, w: c.get("/api/v1/admin/dlq/groups"),
    "admin/dlq/{id}": lambda c, w: c.get(f"/api/v1/admin/dlq/{w.run.pk}"),
    "admin/dlq/{id}/retry": lambda c, w: c.post(f"/api/v1/admin/dlq/{w.run.pk}/retry"),
    "admin/dlq/{id}/discard": lambda c, w: c.post(f"/api/v1/admin/dlq/{w.run.pk}/discard", {"reason": "why"}),
    "admin/dlq/retry": lambda c, w: c.post("/api/v1/admin/dlq/retry", {"fingerprint": "0" * 16}),
    "admin/dlq/discard": lambda c, w: c.post("/api/v1/admin/dlq/discard", {"fingerprint": "0" * 16, "reason": "why"}),
    "admin/stages": lambda c, w: c.get("/api/v1/admin/stages"),
    "admin/stages/{name}/pause": lambda c, w: c.post("/api/v1/admin/stages/exif/pause", {"reason": "why"}),
    "admin/stages/{name}/resume": lambda c, w: c.post("/api/v1/admin/stages/exif/resume"),
    "admin/workers": lambda c, w: c.get("/api/v1/admin/workers"),
}

NEW_PASSWORD = {"old_password": factories.PASSWORD, "new_password": "another long passphrase"}

# status by who knocks, in the order of WHO
MATRIX: dict[str, tuple[Callable[[Client, World], Any], tuple[int, ...]]] = {
    "auth/me": (lambda c, w: c.get("/api/v1/auth/me"), (401, 401, 200, 200, 200, 200, 200)),
    "auth/second-factor": (lambda c, w: c.get("/api/v1/auth/second-factor"), (401, 401, 200, 200, 200, 200, 200)),
    "auth/second-factor, POST": (
        lambda c, w: c.post("/api/v1/auth/second-factor", {"password": factories.PASSWORD}),
        (401, 401, 200, 200, 200, 200, 200),
    ),
    # nobody has begun to set one up, or has one
    "auth/second-factor/confirm": (
        lambda c, w: c.post("/api/v1/auth/second-factor/confirm", {"enrolment": "none", "code": "123456"}),
        (401, 401, 400, 400, 400, 400, 400),
    ),
    **{
        f"auth/second-factor/{what}": (
            lambda c, w, what=what: c.post(
                f"/api/v1/auth/second-factor/{what}", {"password": factories.PASSWORD, "code": "123456"}
            ),
            (401, 401, 409, 409, 409, 409, 409),
        )
        for what in ("disable", "recovery-codes")
    },
    "audit": (lambda c, w: c.get("/api/v1/audit"), (401, 401, 200, 403, 403, 200, 200)),
    "auth/me, PATCH": (lambda c, w: c.patch("/api/v1/auth/me", {"name": "Me"}), (401, 401, 200, 200, 200, 200, 200)),
    "auth/password/change": (
        lambda c, w: c.post("/api/v1/auth/password/change", NEW_PASSWORD),
        (401, 401, 200, 200, 200, 200, 200),
    ),
    "libraries/{id}/invitations": (
        lambda c, w: c.get(f"/api/v1/libraries/{w.library.pk}/invitations"),
        (401, 401, 404, 403, 403, 200, 200),
    ),
    "libraries/{id}/invitations, POST": (
        lambda c, w: c.post(f"/api/v1/libraries/{w.library.pk}/invitations", {"email": "new@example.org"}),
        (401, 401, 404, 403, 403, 201, 201),
    ),
    "invitations/{id}, DELETE": (
        lambda c, w: c.delete(f"/api/v1/invitations/{w.invitation.pk}"),
        # whoever does not manage the members sees no invitation
        (401, 401, 404, 404, 404, 204, 204),
    ),
    "libraries": (lambda c, w: c.get("/api/v1/libraries"), (401, 401, 200, 200, 200, 200, 200)),
    "libraries/{id}": (
        lambda c, w: c.get(f"/api/v1/libraries/{w.library.pk}"),
        (401, 401, 404, 200, 200, 200, 200),
    ),
    "libraries/{id}/face-analysis": (
        lambda c, w: c.post(f"/api/v1/libraries/{w.library.pk}/face-analysis", {"enabled": False}),
        (401, 401, 404, 403, 403, 200, 200),
    ),
    "photos": (lambda c, w: c.get("/api/v1/photos"), (401, 401, 200, 200, 200, 200, 200)),
    "photos, POST": (upload, (401, 401, 404, 403, 201, 201, 201)),
    "photos/{id}": (lambda c, w: c.get(f"/api/v1/photos/{w.photo.pk}"), (401, 401, 404, 200, 200, 200, 200)),
    "photos/{id}, DELETE": (
        lambda c, w: c.delete(f"/api/v1/photos/{w.photo.pk}"),
        (401, 401, 404, 403, 204, 204, 204),
    ),
    "photos/{id}/restore": (
        lambda c, w: c.post(f"/api/v1/photos/{w.photo.pk}/restore"),
        (401, 401, 404, 403, 200, 200, 200),
    ),
    "photos/{id}/renditions/{kind}": (
        lambda c, w: c.get(f"/api/v1/photos/{w.photo.pk}/renditions/preview"),
        (401, 401, 404, 200, 200, 200, 200),
    ),
    "photos/{id}/original": (
        lambda c, w: c.get(f"/api/v1/photos/{w.photo.pk}/original"),
        (401, 401, 404, 403, 200, 200, 200),
    ),
    "photos/{id}/retry": (
        lambda c, w: c.post(f"/api/v1/photos/{w.photo.pk}/retry"),
        (401, 401, 404, 403, 200, 200, 200),
    ),
    "faces/{id}/chip": (lambda c, w: c.get(f"/api/v1/faces/{w.face.pk}/chip"), (401, 401, 404, 200, 200, 200, 200)),
    "people": (lambda c, w: c.get("/api/v1/people"), (401, 401, 200, 200, 200, 200, 200)),
    "people/{id}": (lambda c, w: c.get(f"/api/v1/people/{w.person.pk}"), (401, 401, 404, 200, 200, 200, 200)),
    "people/{id}, PATCH": (
        lambda c, w: c.patch(f"/api/v1/people/{w.person.pk}", {"name": "Ada"}),
        (401, 401, 404, 403, 200, 200, 200),
    ),
    "people/{id}/photos": (
        lambda c, w: c.get(f"/api/v1/people/{w.person.pk}/photos"),
        (401, 401, 404, 200, 200, 200, 200),
    ),
    "processing/summary": (
        lambda c, w: c.get("/api/v1/processing/summary"),
        # the stranger sees the work of another library
        (401, 401, 200, 403, 200, 200, 200),
    ),
    **{name: (call, (401, 401, 403, 403, 403, 403, 200)) for name, call in ADMINISTRATION.items()},
}


@pytest.mark.parametrize("operation", MATRIX)
def test_everybody_gets_what_the_role_allows(operation: str) -> None:
    call, expected = MATRIX[operation]

    statuses = {}
    for who in WHO:
        world = World()
        response = call(world.client(who), world)
        statuses[who] = response.status_code
        if response.streaming:
            assert b"".join(response.streaming_content)
        elif response.status_code >= 400:
            assert response["Content-Type"] == "application/problem+json"
        elif response.content and "results" in response.json():
            seen = {row["id"] for row in response.json()["results"]}
            mine = {str(row.pk) for row in world.rows()}
            assert bool(seen & mine) == (who != "stranger")

    assert statuses == dict(zip(WHO, expected, strict=True))


def test_the_matrix_knows_every_operation() -> None:
    """A new address below /api/v1 has to be put into the matrix, or named here as open to everybody."""
    open_to_all = {
        "auth/token", "auth/token/refresh", "auth/token/revoke", "auth/password/reset", "auth/password/reset/confirm",
        "auth/invitations/accept", "auth/social/providers", "auth/social/token", "health",
    }  # fmt: skip
    names = set()
    for route in get_resolver().reverse_dict.values():
        for pattern, _parameters in route[0]:
            if pattern.startswith("api/v1/"):
                name = pattern.removeprefix("api/v1/").replace("%(pk)s", "{id}")
                names.add(name.replace("%(kind)s", "{kind}").replace("%(name)s", "{name}"))

    assert names - open_to_all == {operation.split(",")[0] for operation in MATRIX}


@pytest.mark.parametrize("operation", [name for name in MATRIX if "," not in name and name not in ADMINISTRATION])
def test_what_an_address_takes_can_be_asked(operation: str) -> None:
    world = World()
    address = "/api/v1/" + operation.replace("{kind}", "preview").replace(
        "{id}",
        str(
            {"photos": world.photo, "people": world.person, "faces": world.face}.get(
                operation.split("/", maxsplit=1)[0], world.library
            ).pk
        ),
    )

    response = world.client("admin").options(address)

    assert response.status_code == 200
    assert "OPTIONS" in response["Allow"]
