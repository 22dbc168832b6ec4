"""Exports in the admin: a list for those who run the installation, and the end of exports."""

import factories
import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import AuditAction, AuditEvent, Library, User
from photos.models import Export
from processing.models import LibraryRun
from processing.services import exports

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]

LIST = "/admin/photos/export/"


@pytest.fixture
def library() -> Library:
    return factories.make_library(name="Archive")


def requested(library: Library, by: User) -> Export:
    photo = factories.make_photo(library, data=f"original {Export.objects.count()}".encode())
    [made] = exports.request(photos=[(library.pk, photo.pk)], content="originals", metadata="none", by=by)
    return made


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_exports_are_watched_and_deleted(library: Library) -> None:
    asker, operator = factories.make_member(library, "editor"), factories.make_user(is_superuser=True, is_staff=True)
    export, other = requested(library, asker), requested(library, asker)
    Export.objects.filter(pk=other.pk).update(state="withdrawn", reason="photo_erased", left_out={"wrong_bytes": 2})
    client = logged_in(operator)

    page = client.get(LIST).content.decode()
    assert asker.email in page
    assert "0\xa0/\xa01" in page
    assert "being made" in page
    told = client.get(f"{LIST}{other.pk}/change/").content.decode()
    assert "a photo of it was deleted for good" in told
    assert "wrong_bytes 2" in told

    done = client.post(LIST, {"action": "delete_chosen", "_selected_action": [str(export.pk)]}, follow=True)

    assert "1 export is deleted." in done.content.decode()
    assert list(Export.objects.values_list("pk", flat=True)) == [other.pk]
    assert LibraryRun.objects.filter(subject=str(export.pk)).count() == 1
    event = AuditEvent.objects.get(action=AuditAction.EXPORT_DELETED)
    assert (event.actor_id, event.subject_id) == (operator.pk, str(export.pk))


def test_nobody_else_sees_them(library: Library) -> None:
    admin = factories.make_member(library, "admin")
    export = requested(library, admin)
    User.objects.filter(pk=admin.pk).update(is_staff=True)
    admin.user_permissions.set(Permission.objects.all())
    client = logged_in(User.objects.get(pk=admin.pk))

    assert client.get(LIST).status_code == 403
    assert client.get(f"{LIST}{export.pk}/change/").status_code in {302, 403}
    client.post(LIST, {"action": "delete_chosen", "_selected_action": [str(export.pk)]})
    assert Export.objects.filter(pk=export.pk).exists()
    assert LIST not in client.get("/admin/").content.decode()
