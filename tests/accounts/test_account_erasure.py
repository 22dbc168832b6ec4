"""Erasing an account: what goes, what stays, and who may not."""

import factories
import pytest
from concurrency import in_a_thread, wait_until_blocked
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.db import transaction
from django.test import Client
from rest_framework.test import APIClient
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import RefreshToken

from accounts.digests import digest
from accounts.models import ApiKey, AuditEvent, ErasureReceipt, Library, Membership, User
from accounts.problems import NotFoundError
from accounts.services import api_keys, audit, erasure
from accounts.services.members import LastAdminError
from gallery.models import Share
from photos.models import Photo

pytestmark = pytest.mark.django_db

ME = "/api/v1/auth/me"


def everything_of(user: User, library: Library) -> None:
    Share.objects.create(library=library, created_by=user, token_sha256=digest(str(user.pk)))
    ApiKey.objects.create(
        owner=user, name="a", prefix=str(user.pk)[-12:], secret_sha256="0" * 64, scopes=["photos.view"]
    )
    RefreshToken.for_user(user).blacklist()
    RefreshToken.for_user(user)
    Client().force_login(user)
    content_type = ContentType.objects.get_for_model(User)
    values = {"content_type": content_type, "object_id": str(user.pk), "object_repr": user.email, "action_flag": 2}
    LogEntry.objects.create(user=factories.make_user(), change_message=user.email, **values)


def test_all_of_an_account_goes_and_photos_stay() -> None:
    library = factories.make_library()
    user, other = factories.make_member(library, "editor"), factories.make_member(library, "admin")
    photo = factories.make_photo(library, uploader=user)
    everything_of(user, library)
    everything_of(other, library)
    user_id, email = user.pk, user.email

    receipt = erasure.forget_user(user=user, by=other)

    assert receipt.counts == {
        "users": 1, "memberships": 1, "api_keys": 1, "shares": 1, "uploads": 0, "tokens": 2, "sessions": 1,
        "invitations": 0,
    }  # fmt: skip
    assert [share.created_by for share in Share.objects.all()] == [other]
    assert (receipt.kind, receipt.subject_id, receipt.requested_by) == ("user", user_id, other.pk)
    assert receipt.ended_at is not None
    assert Photo.objects.get() == photo
    assert Photo.objects.get().uploader is None
    assert not User.objects.filter(pk=user_id).exists()
    assert [key.owner for key in ApiKey.objects.all()] == [other]
    assert set(OutstandingToken.objects.values_list("user", flat=True)) == {other.pk}
    assert (BlacklistedToken.objects.count(), Session.objects.count(), Membership.objects.count()) == (1, 1, 1)
    assert email not in str(list(LogEntry.objects.values("object_repr", "change_message")))
    event = AuditEvent.objects.get(action="erased")
    assert (event.actor_id, event.subject_id, event.library_id) == (other.pk, str(user_id), None)
    assert email not in str(event.details)
    audit.seal()
    assert audit.verify().broken_at is None
    with pytest.raises(NotFoundError):
        erasure.forget_user(user=User(pk=user_id), by=None)
    assert ErasureReceipt.objects.count() == 1


def test_the_last_admin_of_a_library_stays() -> None:
    library = factories.make_library()
    user = factories.make_member(library, "admin")
    deactivated = factories.make_member(library, "admin")
    User.objects.filter(pk=deactivated.pk).update(is_active=False)
    with pytest.raises(LastAdminError) as refused:
        erasure.forget_user(user=user, by=None)
    assert (refused.value.code, refused.value.extra) == ("last_admin", {"libraries": [str(library.pk)]})
    assert User.objects.filter(pk=user.pk).exists()
    assert (ErasureReceipt.objects.count(), AuditEvent.objects.count()) == (0, 0)
    factories.make_member(library, "admin")
    erasure.forget_user(user=user, by=None)


def test_the_last_superuser_stays() -> None:
    user = factories.make_user(is_superuser=True)
    with pytest.raises(erasure.LastSuperuserError):
        erasure.forget_user(user=user, by=user)
    factories.make_user(is_superuser=True)
    erasure.forget_user(user=user, by=user)


@pytest.mark.django_db(transaction=True)
def test_two_admins_who_go_at_the_same_moment_are_not_both_let_go() -> None:
    library = factories.make_library()
    one, other = (factories.make_member(library, "admin") for _ in range(2))
    with transaction.atomic():
        erasure.forget_user(user=one, by=None)
        future = in_a_thread(erasure.forget_user, user=other, by=None)
        wait_until_blocked()
    with pytest.raises(LastAdminError):
        future.result(10)
    assert User.objects.get() == other


def test_somebody_erases_their_own_account_with_the_password() -> None:
    user = factories.make_user()
    client = factories.client_of(user)
    for body in ({}, {"password": "wrong"}):
        refused = client.delete(ME, body)
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid")
    assert User.objects.filter(pk=user.pk).exists()

    response = client.delete(ME, {"password": factories.PASSWORD})

    assert (response.status_code, response.json()["subject_id"]) == (200, str(user.pk))
    assert response.json()["counts"]["users"] == 1
    assert not User.objects.filter(pk=user.pk).exists()
    assert client.get(ME).status_code == 401


def test_no_key_erases_an_account() -> None:
    user = factories.make_user()
    key = ApiKey.objects.create(owner=user, name="a", prefix="dk_a", secret_sha256="0" * 64, scopes=["photos.view"])
    user.acting_key = key
    client = APIClient()
    client.force_authenticate(user)
    assert client.delete(ME, {"password": factories.PASSWORD}).status_code == 403
    assert User.objects.filter(pk=user.pk).exists()


def test_superusers_erase_accounts_in_the_admin(client: Client) -> None:
    operator = factories.make_user(is_staff=True, is_superuser=True)
    user = factories.make_member(factories.make_library(), "editor")
    # rows of pages on which nobody deletes
    api_keys.create(owner=user, name="camera", scopes=["photos.view"])
    client.force_login(operator)
    address = f"/admin/accounts/user/{user.pk}/delete/"
    assert "delete_selected" not in client.get("/admin/accounts/user/").content.decode()
    assert client.get(address).status_code == 200
    assert client.post(address, {"post": "yes"}).status_code == 302
    assert not User.objects.filter(pk=user.pk).exists()
    assert ErasureReceipt.objects.get().requested_by == operator.pk
    assert user.email not in str(list(LogEntry.objects.values("object_repr", "change_message")))
    # the last one stays, and it is said why
    own = client.post(f"/admin/accounts/user/{operator.pk}/delete/", {"post": "yes"}, follow=True)
    assert "Somebody else has to be made a superuser first" in own.content.decode()
    assert User.objects.get() == operator


def test_staff_erase_nobody(client: Client) -> None:
    staff, user = factories.make_user(is_staff=True), factories.make_user()
    staff.user_permissions.set(Permission.objects.filter(content_type__model="user"))
    client.force_login(staff)
    assert client.post(f"/admin/accounts/user/{user.pk}/delete/", {"post": "yes"}).status_code == 403
    assert User.objects.filter(pk=user.pk).exists()
