"""API keys in the admin: seen and revoked by those who run the installation, and never told."""

import factories
import pytest
from django.contrib.auth.models import Permission as AdminPermission
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey, AuditEvent, User
from accounts.services import api_keys

pytestmark = pytest.mark.django_db

KEYS = "/admin/accounts/apikey/"


@pytest.fixture
def superuser() -> User:
    return factories.make_user(is_staff=True, is_superuser=True)


@pytest.fixture
def admin(client: Client, superuser: User) -> Client:
    client.force_login(superuser)
    return client


def make_key(name: str = "camera", owner: User | None = None) -> api_keys.NewKey:
    return api_keys.create(owner=owner or factories.make_user(), name=name, scopes=["photos.view", "photos.upload"])


def test_the_pages_tell_everything_but_the_key(admin: Client) -> None:
    made = make_key("the camera at the door")
    pages = [admin.get(path).content.decode() for path in (KEYS, f"{KEYS}{made.key.pk}/change/")]
    for page in pages:
        assert "the camera at the door" in page
        assert f"dk_{made.key.prefix}…" in page
        assert made.key.owner.email in page
        assert made.text.rpartition("_")[2] not in page
        assert made.key.secret_sha256 not in page
    assert "upload photos" in pages[1]
    assert "(&#x27;usable" not in pages[1]  # a word, not Python's tuple
    assert admin.get(f"{KEYS}add/").status_code == 403
    assert admin.post(f"{KEYS}{made.key.pk}/change/", {"name": "another"}).status_code == 403
    assert admin.post(f"{KEYS}{made.key.pk}/delete/", {"post": "yes"}).status_code == 403
    assert ApiKey.objects.get().name == "the camera at the door"


def test_the_list_shows_and_filters_states(admin: Client) -> None:
    names = {
        "usable": make_key("u"),
        "revoked": make_key("r"),
        "expired": make_key("e"),
        "owner_inactive": make_key("o"),
    }
    ApiKey.objects.filter(name="r").update(revoked_at=timezone.now())
    ApiKey.objects.filter(name="e").update(expires_at=timezone.now())
    User.objects.filter(pk=names["owner_inactive"].key.owner_id).update(is_active=False)
    for state, made in names.items():
        rows = admin.get(KEYS, {"state": state}).context["cl"].result_list
        assert [row.pk for row in rows] == [made.key.pk], state
    assert len(admin.get(KEYS).context["cl"].result_list) == 4
    assert len(admin.get(KEYS, {"q": names["revoked"].key.prefix}).context["cl"].result_list) == 1


def test_one_and_many_are_revoked_and_the_trail_tells_who_did_it(admin: Client, superuser: User) -> None:
    keys = [make_key().key for _ in range(3)]
    page = f"{KEYS}{keys[0].pk}/revoke_key/"
    assert b'id="dialog"' in admin.get(page).content
    assert not ApiKey.objects.filter(revoked_at__isnull=False).exists()
    assert admin.post(page, {"_form_submitted": "True"})["HX-Refresh"] == "true"
    assert [key.revoked_at is None for key in ApiKey.objects.order_by("pk")] == [False, True, True]

    chosen = {"action": "revoke", "_selected_action": [str(key.pk) for key in keys[:2]]}
    assert admin.post(KEYS, chosen).status_code == 302
    assert [str(one) for one in admin.get(KEYS).context["messages"]][-1] == "1 key is revoked."
    assert [key.revoked_at is None for key in ApiKey.objects.order_by("pk")] == [False, False, True]
    events = AuditEvent.objects.filter(action="key.revoked").order_by("pk")
    assert [(event.actor_id, event.subject_id) for event in events] == [(superuser.pk, str(key.pk)) for key in keys[:2]]
    assert admin.get(f"{KEYS}{keys[0].pk}/change/").context["actions_detail"] == []


def test_staff_see_no_keys_whatever_they_may_do(client: Client) -> None:
    key = make_key().key
    user = factories.make_user(is_staff=True)
    user.user_permissions.set(AdminPermission.objects.filter(content_type__app_label="accounts"))
    client.force_login(user)
    for answer in (
        client.get(KEYS),
        client.get(f"{KEYS}{key.pk}/change/"),
        client.post(f"{KEYS}{key.pk}/revoke_key/", {"_form_submitted": "True"}),
        client.post(KEYS, {"action": "revoke", "_selected_action": [str(key.pk)]}),
    ):
        assert answer.status_code == 403
    key.refresh_from_db()
    assert key.revoked_at is None
    assert "apikey" not in client.get("/admin/").content.decode()
