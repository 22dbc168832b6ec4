"""Idempotency-Key: what is sent twice is done once, and answered twice; every POST keeps to it."""

import io
from datetime import timedelta
from typing import Any

import factories
import pytest
from access_operations import operations
from access_world import World, digests
from concurrency import in_a_thread, wait_until_blocked
from django.db import transaction
from django.db.models.functions import Now
from django.test import Client
from promised import OPERATIONS, ask, somebody_who_may, with_its_body
from pytest_django import Settings
from rest_framework.test import APIClient
from uuid_utils.compat import uuid4

from accounts.api.access import PUBLIC
from accounts.api.promises.idempotency import HEADER
from accounts.api.throttles import LoginThrottle
from accounts.models import IdempotentRequest, Library, Membership
from accounts.services import erasure as receipts
from accounts.services import idempotency
from gallery.api import upload
from gallery.models import Share
from photos.models import Photo
from photos.services import trash as photo_trash
from processing.services import trash

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]

VIEWS = {one.name: one.view for one in operations()}
POSTS = sorted(name for name in OPERATIONS if name.startswith("POST"))
PRIVATE = [name for name in POSTS if OPERATIONS[name].rule != PUBLIC]
# words for what is told once
SECRETS = {
    "key",
    "link",
    "secret",
    "uri",
    "enrolment",
    "recovery_codes",
    "access",
    "refresh",
    "token",
    "pair",
    "ticket",
}


def tells_once(name: str) -> bool:
    """Whether an operation's answer tells a secret. A view may have several that POST asks for."""
    view, method = VIEWS[name], name.split(maxsplit=1)[0].lower()
    return getattr(view, "action_map", {}).get(method, method) in view.tells_once


def key() -> dict[str, str]:
    return {HEADER: str(uuid4())}


@pytest.mark.parametrize("name", PRIVATE)
def test_what_is_sent_twice_is_done_once(name: str) -> None:
    world = World()
    call = with_its_body(OPERATIONS[name], world)
    client = somebody_who_may(call, world)
    headers = key()

    first = ask(call, world, client, **headers)
    before = digests()
    again = ask(rewound(call), world, client, **headers)

    assert first.status_code in (call.allowed, 200, 201, 202, 204, 409), first.content
    assert "Idempotent-Replayed" not in first
    assert digests() == before
    if name.split()[1] in {"auth/password/change", "auth/second-factor/confirm"} and first.status_code < 400:
        # it has ended the login that asked
        assert again.status_code == 401
    elif tells_once(name) and first.status_code < 400:
        assert (again.status_code, again.json()["code"]) == (409, "idempotency_result_not_kept")
        assert again.json().get("location") == first.headers.get("Location")
        assert IdempotentRequest.objects.get().body is None
    else:
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert again["Idempotent-Replayed"] == "true"
        assert again.headers.get("Location") == first.headers.get("Location")
        assert again.headers.get("Content-Type") == first.headers.get("Content-Type")


@pytest.mark.parametrize("name", [name for name in POSTS if OPERATIONS[name].rule == PUBLIC])
def test_what_nobody_in_particular_asks_takes_no_key(name: str) -> None:
    world = World()
    call = with_its_body(OPERATIONS[name], world)
    before = digests()

    refused = ask(call, world, APIClient(), **key())

    assert (refused.status_code, refused.json()["code"]) == (400, "idempotency_not_supported")
    assert refused.json()["errors"][0]["field"] == "Idempotency-Key"
    assert digests() == before


def test_answers_that_tell_a_secret_are_declared(client: Client) -> None:
    schema = client.get("/api/schema?format=json").json()
    telling = set()
    for path, methods in schema["paths"].items():
        for answer in methods.get("post", {}).get("responses", {}).values():
            for media in answer.get("content", {}).values():
                names = media["schema"].get("$ref", "").rpartition("/")[2]
                if SECRETS & schema["components"]["schemas"].get(names, {}).get("properties", {}).keys():
                    telling.add(path.removeprefix("/api/v1/"))
    declared = {name.split()[1] for name in POSTS if tells_once(name)}

    public = {name.split()[1] for name in POSTS if OPERATIONS[name].rule == PUBLIC}
    assert telling - public <= declared
    assert {"keys", "shares", "auth/second-factor"} <= telling


def test_attempts_are_counted_though_they_are_refused() -> None:
    guessing = {name for name in PRIVATE if LoginThrottle in map(type, throttles_of(name))}

    assert guessing
    assert [name for name in guessing if "post" not in VIEWS[name].apart] == []


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def admin(library: Library) -> APIClient:
    return factories.client_of(factories.make_member(library, "admin"))


def add(client: APIClient, library: Library, headers: dict[str, str], **body: str) -> Any:
    return client.post(f"/api/v1/libraries/{library.pk}/members", body, headers=headers)


def test_a_key_that_came_with_another_request_is_refused(admin: APIClient, library: Library) -> None:
    user, other, headers = factories.make_user(), factories.make_user(), key()
    assert add(admin, library, headers, email=user.email).status_code == 201

    refused = add(admin, library, headers, email=other.email)
    elsewhere = admin.post(f"/api/v1/libraries/{library.pk}/forget", {"email": user.email}, headers=headers)

    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert elsewhere.status_code == 422
    assert not Membership.objects.filter(user=other).exists()
    # the order of a body's members says nothing
    named = add(admin, library, key() | headers, email=user.email)
    assert named.status_code == 201


def test_a_refusal_is_answered_again_too(admin: APIClient, library: Library) -> None:
    headers = key()
    refused = add(admin, library, headers, email="nobody@example.org")
    factories.make_user(email="nobody@example.org")

    again = add(admin, library, headers, email="nobody@example.org")

    assert refused.status_code == again.status_code == 400
    assert again.json() == refused.json()
    assert again["Content-Type"] == "application/problem+json"
    assert not Membership.objects.filter(user__email="nobody@example.org").exists()
    assert add(admin, library, key(), email="nobody@example.org").status_code == 201


def test_each_has_keys_of_their_own(admin: APIClient, library: Library) -> None:
    headers = key()
    others = factories.client_of(factories.make_member(library, "admin"))
    user = factories.make_user()
    assert add(admin, library, headers, email=user.email).status_code == 201

    second = add(others, library, headers, email=user.email)

    assert (second.status_code, second.json()["code"]) == (409, "already_member")
    assert IdempotentRequest.objects.count() == 2


@pytest.mark.parametrize("header", ["", "x" * 256, "a\tb", "ä", '"', '"a"b"'])
def test_a_key_that_cannot_be_is_refused(admin: APIClient, library: Library, header: str) -> None:
    user = factories.make_user()

    refused = add(admin, library, {HEADER: header}, email=user.email)

    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "Idempotency-Key")
    assert not Membership.objects.filter(user=user).exists()
    assert not IdempotentRequest.objects.exists()


def test_with_quotes_and_without_it_is_the_same_key(admin: APIClient, library: Library) -> None:
    user = factories.make_user()
    assert add(admin, library, {HEADER: '"one"'}, email=user.email).status_code == 201

    assert add(admin, library, {HEADER: "one"}, email=user.email)["Idempotent-Replayed"] == "true"


def test_without_the_header_nothing_is_kept(admin: APIClient, library: Library) -> None:
    assert add(admin, library, {}, email=factories.make_user().email).status_code == 201
    assert not IdempotentRequest.objects.exists()


def test_a_secret_is_neither_kept_nor_told_twice(admin: APIClient, library: Library) -> None:
    photo, headers = factories.make_photo(library), key()
    made = admin.post("/api/v1/shares", {"photos": [str(photo.pk)]}, headers=headers)
    assert made.status_code == 201

    again = admin.post("/api/v1/shares", {"photos": [str(photo.pk)]}, headers=headers)

    assert again.status_code == 409
    assert again.json() == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "It was done when it was sent first. What was answered was told once, and is not kept.",
        "code": "idempotency_result_not_kept",
        "status_then": 201,
        "location": made["Location"],
    }
    assert Share.objects.count() == 1
    kept = IdempotentRequest.objects.get()
    assert made.json()["link"] not in f"{kept.body}{kept.headers}"


def test_an_upload_is_known_by_its_file(admin: APIClient, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    spooled = []
    make = upload.tempfile.TemporaryFile
    monkeypatch.setattr(upload.tempfile, "TemporaryFile", lambda **given: spooled.append(given) or make(**given))
    picture, other = (factories.image_bytes(colour=colour) for colour in ((200, 0, 0), (0, 0, 200)))
    headers = key()

    def send(data: bytes, name: str = "a.jpg") -> Any:
        file = io.BytesIO(data)
        file.name = name
        return admin.post(
            "/api/v1/photos", {"library": str(library.pk), "file": file}, format="multipart", headers=headers
        )

    first = send(picture)
    assert (first.status_code, len(spooled)) == (201, 1)
    again = send(picture)
    renamed, another = send(picture, "b.jpg"), send(other)

    assert (again.status_code, again.content) == (201, first.content)
    assert (again["Location"], again["Idempotent-Replayed"]) == (first["Location"], "true")
    assert [one.json()["code"] for one in (renamed, another)] == ["idempotency_key_reused"] * 2
    assert Photo.objects.count() == 1
    assert len(spooled) == 4


@pytest.mark.django_db(transaction=True)
def test_while_the_first_is_worked_on_the_second_is_told_to_wait(library: Library, admin: APIClient) -> None:
    user, headers = factories.make_user(), key()

    with transaction.atomic():
        Library.objects.select_for_update(no_key=True).get(pk=library.pk)
        first = in_a_thread(add, admin, library, headers, email=user.email, role="admin")
        wait_until_blocked()
        second = in_a_thread(add, admin, library, headers, email=user.email, role="admin").result(10)
    done = first.result(10)

    assert (second.status_code, second.json()["code"]) == (409, "idempotency_key_in_use")
    assert second["Retry-After"] == "2"
    assert done.status_code == 201
    assert add(admin, library, headers, email=user.email, role="admin").content == done.content


def test_a_server_that_was_killed_holds_a_key_for_the_length_of_a_lease(admin: APIClient, library: Library) -> None:
    user, headers = factories.make_user(), key()
    add(admin, library, headers, email=user.email)
    # as it was while the server worked, and never came to answer
    Membership.objects.filter(user=user).delete()
    lease = {"lease_token": uuid4(), "lease_until": Now() + timedelta(seconds=1), "status": None, "body": None}
    IdempotentRequest.objects.update(**lease)

    assert add(admin, library, headers, email=user.email).status_code == 409
    assert not Membership.objects.filter(user=user).exists()
    IdempotentRequest.objects.update(lease_until=Now())
    assert add(admin, library, headers, email="other@example.org").status_code == 422
    done = add(admin, library, headers, email=user.email)

    assert (done.status_code, "Idempotent-Replayed" in done) == (201, False)
    assert Membership.objects.filter(user=user).exists()


@pytest.mark.django_db(transaction=True)
def test_who_is_overtaken_has_done_nothing(library: Library, admin: APIClient) -> None:
    user, headers = factories.make_user(), key()

    with transaction.atomic():
        Library.objects.select_for_update(no_key=True).get(pk=library.pk)
        slow = in_a_thread(add, admin, library, headers, email=user.email, role="admin")
        wait_until_blocked()
        # the lease ran out, and somebody else works on it now
        with_another_token = in_a_thread(IdempotentRequest.objects.update, lease_token=uuid4())
        assert with_another_token.result(10) == 1
    overtaken = slow.result(10)

    assert (overtaken.status_code, overtaken.json()["code"]) == (409, "idempotency_key_in_use")
    assert not Membership.objects.filter(user=user).exists()
    assert IdempotentRequest.objects.get().status is None


def test_a_fault_of_ours_is_not_kept(
    admin: APIClient, library: Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    user, headers = factories.make_user(), key()
    admin.raise_request_exception = False
    with monkeypatch.context() as broken:
        broken.setattr("accounts.api.members.members.add_by_email", lambda **_: 1 / 0)
        assert add(admin, library, headers, email=user.email).status_code == 500
    assert "ZeroDivisionError" in caplog.text
    assert not IdempotentRequest.objects.exists()

    assert add(admin, library, headers, email=user.email).status_code == 201


def test_what_was_kept_for_a_day_is_forgotten(admin: APIClient, library: Library, settings: Settings) -> None:
    user, other, headers, young = factories.make_user(), factories.make_user(), key(), key()
    add(admin, library, headers, email=user.email)
    add(admin, library, young, email=other.email)
    IdempotentRequest.objects.filter(key=headers[HEADER]).update(expires_at=Now())

    anew = add(admin, library, headers, email=user.email)
    assert (anew.status_code, anew.json()["code"]) == (409, "already_member")
    IdempotentRequest.objects.filter(key=headers[HEADER]).update(expires_at=Now())
    assert idempotency.flush_expired() == 1
    assert IdempotentRequest.objects.get().key == young[HEADER]


def test_what_is_erased_is_told_to_nobody_again(admin: APIClient, library: Library) -> None:
    photo, kept, headers = factories.make_photo(library), factories.make_photo(library), key()
    others = key()
    for one, header in ((photo, headers), (kept, others)):
        photo_trash.move_to_trash(photo_ids=[one.pk])
        assert admin.post(f"/api/v1/photos/{one.pk}/restore", headers=header).status_code == 200
    photo_trash.move_to_trash(photo_ids=[photo.pk])

    trash.purge(photo_ids=[photo.pk])

    again = admin.post(f"/api/v1/photos/{photo.pk}/restore", headers=headers)
    assert (again.status_code, again.json()["code"]) == (409, "idempotency_result_not_kept")
    assert "location" not in again.json()
    assert admin.post(f"/api/v1/photos/{kept.pk}/restore", headers=others).status_code == 200


def test_a_name_goes_with_the_person_who_is_forgotten(admin: APIClient, library: Library) -> None:
    headers, other = key(), key()
    ada = factories.make_person(library, name="Ada")
    photo = factories.make_photo(library)
    factories.make_face(photo, person=ada)
    for header in (headers, other):
        subject = photo if header is headers else factories.make_photo(library)
        assert admin.post(f"/api/v1/photos/{subject.pk}/restore", headers=header).status_code == 200
    assert "Ada" in IdempotentRequest.objects.get(key=headers[HEADER]).body

    receipts.blank_admin_log(type(ada), [ada.pk])

    assert IdempotentRequest.objects.get(key=headers[HEADER]).body is None
    assert IdempotentRequest.objects.get(key=other[HEADER]).body is not None


def test_an_account_takes_its_answers_along(admin: APIClient, library: Library) -> None:
    user = factories.make_member(library, "admin")
    add(factories.client_of(user), library, key(), email=factories.make_user().email)
    add(admin, library, key(), email=factories.make_user().email)

    receipts.forget_user(user=user, by=None)

    assert IdempotentRequest.objects.get().user != user


def throttles_of(name: str) -> list[Any]:
    view = VIEWS[name]
    view.request = type("Request", (), {"method": "POST"})()
    return view.get_throttles()


def rewound(call: Any) -> Any:
    """Give a call whose files are read from their start."""
    for value in (call.body(None) if call.body else {}).values():
        if isinstance(value, io.BytesIO):
            value.seek(0)
    return call
