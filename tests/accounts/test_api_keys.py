"""API keys: how they are made, what they open, and what they never do."""

import hashlib
import logging
import threading
from datetime import timedelta
from io import BytesIO
from typing import Any
from uuid import uuid4

import factories
import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import ApiKey, AuditEvent, Library, User
from accounts.problems import InvalidValueError, NotFoundError, NotPermittedError
from accounts.roles import Permission
from accounts.services import api_keys
from accounts.services.libraries import add_member
from config.logging import redact
from photos.models import Person, Photo

pytestmark = pytest.mark.django_db

KEYS = "/api/v1/keys"
PHOTOS = "/api/v1/photos"
VIEW = [Permission.VIEW_PHOTOS]


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def owner(library: Library) -> User:
    return factories.make_member(library, "admin")


def make_key(owner: User, scopes: list[str] = VIEW, **values: Any) -> api_keys.NewKey:
    return api_keys.create(owner=owner, **{"name": "camera", "scopes": scopes, **values})


def revoke(key: ApiKey, actor: User) -> int:
    return api_keys.revoke(keys=ApiKey.objects.filter(pk=key.pk), actor=actor)


def sending(text: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=text)
    return client


def upload(client: APIClient, library: Library, data: bytes | None = None) -> Any:
    body = {"library": library.pk, "file": BytesIO(data or factories.image_bytes())}
    return client.post(PHOTOS, body, format="multipart")


# making them


def test_a_key_is_shown_once_and_kept_as_a_hash(owner: User, library: Library) -> None:
    client = factories.client_of(owner)
    until = timezone.now() + timedelta(days=7)
    body = {"name": "camera", "scopes": ["photos.view", "photos.upload"], "library": library.pk, "expires_at": until}

    made = client.post(KEYS, body)

    assert made.status_code == 201
    assert made["Cache-Control"] == "no-store"
    key = ApiKey.objects.get()
    said = made.json()
    text = said.pop("key")
    assert api_keys.FORM.fullmatch(text)
    assert text.startswith(f"dk_{key.prefix}_")
    assert key.secret_sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert (key.owner, key.library, key.expires_at) == (owner, library, until)
    assert said == {
        "id": str(key.pk),
        "name": "camera",
        "prefix": key.prefix,
        "scopes": ["photos.upload", "photos.view"],
        "library": str(library.pk),
        "created_at": key.created_at.isoformat().replace("+00:00", "Z"),
        "expires_at": until.isoformat().replace("+00:00", "Z"),
        "last_used_at": None,
        "revoked_at": None,
    }
    assert client.get(KEYS).json()["results"] == [said]
    assert client.get(f"{KEYS}/{key.pk}").json() == said
    event = AuditEvent.objects.get()
    assert (event.action, event.actor_id, event.library_id) == ("key.created", owner.pk, library.pk)
    assert (event.subject_type, event.subject_id) == ("apikey", str(key.pk))
    assert event.details == {"scopes": ["photos.upload", "photos.view"], "expires_at": until.isoformat()}


def test_the_secret_has_256_bits_and_no_two_are_alike(owner: User) -> None:
    texts = {make_key(owner).text for _ in range(20)}
    assert len(texts) == 20
    assert {len(bytes.fromhex(text.rpartition("_")[2])) for text in texts} == {32}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["photos.view", "everything"]}, "scopes.1"),
        ({"scopes": None}, "scopes"),
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"library": "mine"}, "library"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "tomorrow"}, "expires_at"),
    ],
)
def test_what_cannot_be_makes_no_key(owner: User, wrong: dict[str, Any], field: str) -> None:
    answer = factories.client_of(owner).post(KEYS, {"name": "camera", "scopes": ["photos.view"], **wrong})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert (ApiKey.objects.count(), AuditEvent.objects.count()) == (0, 0)


def test_a_key_of_a_library_that_one_does_not_see_is_a_404_as_if_it_were_not(owner: User) -> None:
    client = factories.client_of(owner)
    answers = [
        client.post(KEYS, {"name": "camera", "scopes": ["photos.view"], "library": library})
        for library in (factories.make_library().pk, uuid4())
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json() == answers[1].json()
    assert ApiKey.objects.count() == 0


def test_the_service_itself_refuses_what_cannot_be(owner: User) -> None:
    with pytest.raises(ValidationError):
        make_key(owner, ["everything"])
    with pytest.raises(ValidationError):
        make_key(owner, [])
    with pytest.raises(NotFoundError):
        make_key(owner, library_id=factories.make_library().pk)
    with pytest.raises(InvalidValueError):
        make_key(owner, expires_at=timezone.now())
    User.objects.filter(pk=owner.pk).update(is_active=False)
    with pytest.raises(NotPermittedError):
        make_key(owner)
    assert (ApiKey.objects.count(), AuditEvent.objects.count()) == (0, 0)


def test_nobody_has_any_number_of_keys(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "MAX_USABLE_KEYS", 2)
    client = factories.client_of(owner)
    body = {"name": "camera", "scopes": ["photos.view"]}
    first = client.post(KEYS, body)
    assert [first.status_code, client.post(KEYS, body).status_code] == [201, 201]

    refused = client.post(KEYS, body)

    assert (refused.status_code, refused.json()["code"], refused.json()["limit"]) == (409, "too_many_keys", 2)
    assert client.delete(f"{KEYS}/{first.json()['id']}").status_code == 204
    assert client.post(KEYS, body).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_two_at_once_are_not_both_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "MAX_USABLE_KEYS", 1)
    client = factories.client_of(factories.make_user())
    together = threading.Barrier(4, timeout=20)
    statuses: list[int] = []

    def make() -> None:
        try:
            together.wait()
            statuses.append(client.post(KEYS, {"name": "camera", "scopes": ["photos.view"]}).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(statuses) == [201, 409, 409, 409]
    assert ApiKey.objects.count() == 1


# what they open


def test_both_headers_open_what_the_scopes_say(owner: User, library: Library) -> None:
    photo = factories.make_photo(library)
    text = make_key(owner).text
    for headers in ({"HTTP_X_API_KEY": text}, {"HTTP_AUTHORIZATION": f"Api-Key {text}"}):
        client = APIClient()
        client.credentials(**headers)
        assert [row["id"] for row in client.get(PHOTOS).json()["results"]] == [str(photo.pk)]
        refused = client.delete(f"{PHOTOS}/{photo.pk}")
        assert (refused.status_code, refused.json()["permission"]) == (403, "photos.trash")
    assert Photo.objects.get().trashed_at is None


def test_a_library_says_what_the_key_leaves_of_its_owners_role(owner: User, library: Library) -> None:
    client = sending(make_key(owner, ["photos.view", "photos.upload"]).text)
    said = client.get(f"/api/v1/libraries/{library.pk}").json()
    assert (said["own_role"], said["own_permissions"]) == ("admin", ["photos.upload", "photos.view"])

    visitor = factories.make_member(library, "visitor")
    client = sending(make_key(visitor, ["photos.view", "photos.upload"]).text)
    assert client.get(f"/api/v1/libraries/{library.pk}").json()["own_permissions"] == ["photos.view"]
    assert upload(client, library).status_code == 403
    assert Photo.objects.count() == 0


def test_a_key_of_one_library_does_not_open_another(owner: User, library: Library) -> None:
    other = factories.make_library()
    add_member(library=other, user=owner, role="admin")
    here, there = factories.make_photo(library), factories.make_photo(other)
    client = sending(make_key(owner, list(Permission), library_id=library.pk).text)

    assert [row["id"] for row in client.get(PHOTOS).json()["results"]] == [str(here.pk)]
    assert client.get(f"{PHOTOS}/{there.pk}").status_code == 404
    assert client.delete(f"{PHOTOS}/{there.pk}").status_code == 404
    assert upload(client, other).status_code == 404
    assert (Photo.objects.count(), Photo.objects.filter(trashed_at__isnull=False).count()) == (2, 0)


def test_a_key_without_the_scope_sees_nothing(owner: User, library: Library) -> None:
    photo = factories.make_photo(library)
    client = sending(make_key(owner, [Permission.EDIT_PEOPLE]).text)
    assert client.get(PHOTOS).json()["results"] == []
    assert client.get("/api/v1/libraries").json()["results"] == []
    assert client.get(f"{PHOTOS}/{photo.pk}").status_code == 404
    assert upload(client, library).status_code == 404
    assert Photo.objects.count() == 1


def test_a_key_that_may_not_look_brings_nothing_back_from_the_trash(owner: User, library: Library) -> None:
    photo = factories.make_photo(library, trashed_at=timezone.now())
    for scopes, status in (([Permission.TRASH_PHOTOS], 404), ([*VIEW, Permission.TRASH_PHOTOS], 200)):
        assert Photo.objects.get().trashed_at is not None
        client = sending(make_key(owner, scopes).text)
        assert client.post(f"{PHOTOS}/{photo.pk}/restore").status_code == status
    assert Photo.objects.get().trashed_at is None


def test_a_superusers_key_is_narrowed_and_opens_no_page_of_the_installation(library: Library) -> None:
    other = factories.make_photo(factories.make_library())
    photo = factories.make_photo(library)
    superuser = factories.make_user(is_superuser=True, is_staff=True)
    client = sending(make_key(superuser, list(Permission), library_id=library.pk).text)

    assert [row["id"] for row in client.get(PHOTOS).json()["results"]] == [str(photo.pk)]
    assert client.get(f"{PHOTOS}/{other.pk}").status_code == 404
    for path in ("admin/dlq", "admin/dlq/groups", "admin/stages", "admin/workers"):
        refused = client.get(f"/api/v1/{path}")
        assert (path, refused.status_code, refused.json()["code"]) == (path, 403, "permission_denied")
    # the admin knows sessions alone
    assert client.get("/admin/").status_code == 302
    only_looks = sending(make_key(superuser).text)
    assert {row["id"] for row in only_looks.get(PHOTOS).json()["results"]} == {str(photo.pk), str(other.pk)}
    assert only_looks.delete(f"{PHOTOS}/{photo.pk}").status_code == 403
    assert Photo.objects.filter(trashed_at__isnull=False).count() == 0


def test_who_leaves_a_library_leaves_it_with_all_keys(owner: User, library: Library) -> None:
    client = sending(make_key(owner, library_id=library.pk).text)
    assert len(client.get("/api/v1/libraries").json()["results"]) == 1
    owner.memberships.all().delete()
    assert client.get("/api/v1/libraries").json()["results"] == []


def test_a_cameras_key_uploads_and_learns_nothing_else(owner: User, library: Library, photo_store: object) -> None:
    client = sending(make_key(owner, [Permission.UPLOAD_PHOTOS], library_id=library.pk).text)
    data = factories.image_bytes()

    first, again = upload(client, library, data), upload(client, library, data)

    assert (first.status_code, again.status_code) == (201, 200)
    photo = Photo.objects.get()
    assert (photo.uploader, photo.library) == (owner, library)
    assert first.json() == {
        "id": str(photo.pk),
        "library": str(library.pk),
        "sha256": hashlib.sha256(data).hexdigest(),
        "byte_size": len(data),
        "state": "pending",
    }
    assert again.json() == first.json()
    assert client.get(f"{PHOTOS}/{photo.pk}").status_code == 404
    assert client.get(PHOTOS).json()["results"] == []
    assert upload(client, factories.make_library()).status_code == 404
    assert Photo.objects.count() == 1
    # whoever may look is told all
    assert upload(factories.client_of(owner), library, data).json()["original_filename"] == photo.original_filename


# bad keys


def test_a_key_that_opens_nothing_is_a_401_and_never_overlooked(owner: User) -> None:
    good = make_key(owner)
    bad = {
        "revoked": make_key(owner),
        "expired": make_key(owner, expires_at=timezone.now() + timedelta(days=1)),
        "of somebody who was deactivated": make_key(factories.make_user()),
    }
    revoke(bad["revoked"].key, owner)
    ApiKey.objects.filter(pk=bad["expired"].key.pk).update(expires_at=timezone.now())
    User.objects.filter(pk=bad["of somebody who was deactivated"].key.owner_id).update(is_active=False)
    another_secret = good.text[:-1] + ("0" if good.text[-1] != "0" else "1")
    texts = {
        **{name: made.text for name, made in bad.items()},
        "another secret": another_secret,
        "unknown": "dk_" + "0" * 12 + "_" + "0" * 64,
        "nonsense": "nonsense",
        "empty": "",
        "not ASCII": "dk_é",
        "in capitals": good.text.upper(),
        "the hash that is kept": good.key.secret_sha256,
    }
    token = factories.client_of(owner)._credentials["HTTP_AUTHORIZATION"]
    said = set()
    for name, text in texts.items():
        ways = [{"HTTP_X_API_KEY": text}, {"HTTP_AUTHORIZATION": f"Api-Key {text}"}]
        # beside a token that is good it still counts
        ways.append({"HTTP_X_API_KEY": text, "HTTP_AUTHORIZATION": token})
        for headers in ways:
            answer = APIClient().get("/api/v1/libraries", **headers)
            assert (name, answer.status_code, answer.json()["code"]) == (name, 401, "api_key_not_valid")
            assert answer["WWW-Authenticate"] == 'Api-Key realm="api"'
            said.add(answer.content)
    assert len(said) == 1
    two = {"HTTP_X_API_KEY": good.text, "HTTP_AUTHORIZATION": f"Api-Key {another_secret}"}
    assert APIClient().get("/api/v1/libraries", **two).status_code == 401
    assert APIClient().get("/api/v1/libraries", HTTP_X_API_KEY=good.text).status_code == 200
    assert set(ApiKey.objects.filter(last_used_at__isnull=False)) == {good.key}


def test_a_key_in_an_address_or_a_form_is_none(owner: User) -> None:
    text = make_key(owner).text
    for name in ("api_key", "api-key", "key", "X-API-Key", "access_token"):
        assert APIClient().get("/api/v1/libraries", {name: text}).status_code == 401
    assert APIClient().post(KEYS, {"api_key": text, "name": "camera", "scopes": ["photos.view"]}).status_code == 401
    client = APIClient()
    client.cookies["X-API-Key"] = text
    assert client.get("/api/v1/libraries").status_code == 401
    assert ApiKey.objects.get().last_used_at is None


def test_no_log_line_tells_a_key(
    owner: User, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_key(owner)
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(ApiKey.objects._queryset_class, "usable", lambda _self: 1 / 0)
    client = sending(made.text)
    client.raise_request_exception = False
    assert client.get("/api/v1/libraries").status_code == 500
    assert any(record.exc_info for record in caplog.records)
    secret = made.text.rpartition("_")[2]
    assert secret not in caplog.text
    assert secret not in repr(made)
    for line in (f"GET /x?y={made.text}", f"X-API-Key: {made.text}", f"Authorization: Api-Key {made.text}", made.text):
        assert secret not in redact(line)


# people only


def test_a_key_makes_lists_and_revokes_no_keys(owner: User) -> None:
    made = make_key(owner, list(Permission))
    client = sending(made.text)
    answers = [
        client.get(KEYS),
        client.post(KEYS, {"name": "another", "scopes": ["photos.view"]}),
        client.get(f"{KEYS}/{made.key.pk}"),
        client.delete(f"{KEYS}/{made.key.pk}"),
        client.get("/api/v1/auth/me"),
    ]
    assert [(one.status_code, one.json()["code"]) for one in answers] == [(403, "person_required")] * 5
    assert [key.revoked_at for key in ApiKey.objects.all()] == [None]
    acting = api_keys.authenticate(text=made.text)
    with pytest.raises(NotPermittedError):
        make_key(acting)
    with pytest.raises(NotPermittedError):
        revoke(made.key, acting)


def test_keys_of_others_are_not_there(owner: User) -> None:
    key = make_key(owner).key
    for other in (factories.make_user(), factories.make_user(is_superuser=True)):
        client = factories.client_of(other)
        assert client.get(KEYS).json()["results"] == []
        assert [client.get(f"{KEYS}/{key.pk}").status_code, client.delete(f"{KEYS}/{key.pk}").status_code] == [404, 404]
    with pytest.raises(NotPermittedError):
        revoke(key, factories.make_user())
    key.refresh_from_db()
    assert key.revoked_at is None


def test_revoking_ends_a_key_at_once_and_may_be_repeated(owner: User) -> None:
    made = make_key(owner)
    client = factories.client_of(owner)
    program = sending(made.text)
    assert program.get("/api/v1/libraries").status_code == 200

    statuses = [client.delete(f"{KEYS}/{made.key.pk}").status_code for _ in range(2)]

    assert statuses == [204, 204]
    assert program.get("/api/v1/libraries").status_code == 401
    made.key.refresh_from_db()
    assert client.get(f"{KEYS}/{made.key.pk}").json()["revoked_at"] is not None
    assert AuditEvent.objects.filter(action="key.revoked", subject_id=str(made.key.pk), actor_id=owner.pk).count() == 1
    ended = made.key.revoked_at
    assert revoke(made.key, owner) == 0
    made.key.refresh_from_db()
    assert made.key.revoked_at == ended


# when it was last used


def test_its_use_is_written_once_a_minute(owner: User) -> None:
    made = make_key(owner)
    client = sending(made.text)

    def writes() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert client.get("/api/v1/libraries").status_code == 200
        return sum(query["sql"].startswith("UPDATE") for query in queries)

    assert [writes(), writes(), writes()] == [1, 0, 0]
    made.key.refresh_from_db()
    assert timezone.now() - made.key.last_used_at < timedelta(seconds=30)
    ApiKey.objects.update(last_used_at=timezone.now() - timedelta(seconds=59))
    assert writes() == 0
    ApiKey.objects.update(last_used_at=timezone.now() - timedelta(seconds=61))
    assert [writes(), writes()] == [1, 0]


@pytest.mark.django_db(transaction=True)
def test_a_request_waits_for_nobody_to_write_its_use() -> None:
    made = make_key(factories.make_user())
    statuses: list[int] = []

    def ask() -> None:
        try:
            statuses.append(sending(made.text).get("/api/v1/libraries").status_code)
        finally:
            connection.close()

    with transaction.atomic():
        ApiKey.objects.select_for_update().get(pk=made.key.pk)
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(20)
        assert not thread.is_alive()
    assert statuses == [200]
    made.key.refresh_from_db()
    assert made.key.last_used_at is None


def test_a_key_says_which_scope_it_lacks(library: Library, owner: User) -> None:
    photo = factories.make_photo(library)
    refused = sending(make_key(owner).text).get(f"{PHOTOS}/{photo.pk}/original")
    assert refused.status_code == 403
    assert refused.json()["detail"] == "This needs the scope originals.download, which the API key does not have."


def test_more_scopes_than_there_are_are_not_read_one_by_one(owner: User) -> None:
    client = APIClient()
    client.force_authenticate(owner)
    refused = client.post(KEYS, {"name": "k", "scopes": ["x"] * 10_000})
    assert (refused.status_code, len(refused.content) < 1000) == (400, True)


def test_people_are_seen_with_the_photos_that_they_are_on(library: Library, owner: User) -> None:
    person = Person.objects.create(library=library, name="Ada")
    for scopes, status in ((["people.view"], 404), (["people.view", "photos.view"], 200)):
        client = sending(make_key(owner, scopes).text)
        assert client.get(f"/api/v1/people/{person.pk}").status_code == status
        assert len(client.get("/api/v1/people").json().get("results", [])) == (status == 200)
