"""What the admin's history says of a change: nothing that outlives the people whom it is about."""

import json

import factories
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.test import Client

from accounts.models import Invitation, Library, Membership, Role, User
from accounts.services import erasure

pytestmark = pytest.mark.django_db


def form_of(library: Library, user: User, role: str, *, row: Membership | None = None, **more: str) -> dict[str, str]:
    """Fill the form of a library with one row of its members."""
    values = {"library": library.pk, "user": user.pk, "role": Role.objects.get(name=role).pk, **more}
    values |= {"id": row.pk} if row else {}
    form = {"name": library.name, "memberships-TOTAL_FORMS": 1, "memberships-INITIAL_FORMS": int(row is not None)}
    form |= {"consent_records-TOTAL_FORMS": 0, "consent_records-INITIAL_FORMS": 0}
    form |= {f"memberships-0-{name}": value for name, value in values.items()}
    return {name: str(value) for name, value in form.items()}


def note(by: User, about: Model, *, shown: str = "", message: object = "") -> LogEntry:
    content_type = ContentType.objects.get_for_model(about)
    written = message if isinstance(message, str) else json.dumps(message)
    return LogEntry.objects.create(
        user=by,
        content_type=content_type,
        object_id=str(about.pk),
        object_repr=shown,
        action_flag=2,
        change_message=written,
    )


def test_the_history_of_a_library_names_members_by_their_ids(admin_client: Client, client: Client) -> None:
    library = factories.make_library(name="Archive")
    factories.make_member(library, "admin")
    friend = factories.make_user(email="ada@example.org")
    page = f"/admin/accounts/library/{library.pk}/change/"

    assert admin_client.post(page, form_of(library, friend, "visitor")).status_code == 302
    row = Membership.objects.get(user=friend)
    row_id = str(row.pk)
    assert admin_client.post(page, form_of(library, friend, "editor", row=row)).status_code == 302
    assert admin_client.post(page, form_of(library, friend, "editor", row=row, DELETE="on")).status_code == 302

    noted = [json.loads(one.change_message) for one in LogEntry.objects.order_by("pk")]
    assert noted == [
        [{"added": {"name": "membership", "object": row_id}}],
        [{"changed": {"name": "membership", "object": row_id, "fields": ["Role"]}}],
        [{"deleted": {"name": "membership", "object": row_id}}],
    ]
    # shown to those who do not read the trail instead
    reader = factories.make_member(library, "visitor")
    User.objects.filter(pk=reader.pk).update(is_staff=True)
    reader.user_permissions.set(Permission.objects.filter(codename="view_library"))
    client.force_login(reader)
    shown = client.get(f"/admin/accounts/library/{library.pk}/history/").content.decode()
    assert f"Added membership “{row_id}”." in shown
    assert "ada@example.org" not in shown


@pytest.mark.parametrize("email", ["ada@example.org", "o'hara+x@example.org"])
def test_an_address_that_was_noted_of_others_goes_with_its_account(email: str) -> None:
    library = factories.make_library(name="Archive")
    user, boss = factories.make_user(email=email), factories.make_user(is_superuser=True)
    invitation: Invitation = factories.make_invitation(library, email="guest@example.org", invited_by=boss)
    about_member = {"added": {"name": "membership", "object": f"{email} · Archive · visitor"}}
    notes = [
        note(boss, library, shown="Archive", message=[about_member]),
        note(boss, invitation, shown=f"{email} · Archive"),
        note(boss, user, shown=email, message=[{"changed": {"fields": ["Name"]}}]),
        note(boss, library, shown="Archive", message=[{"changed": {"fields": ["Name"]}}]),
    ]

    erasure.forget_user(user=user, by=boss)

    for one in notes:
        one.refresh_from_db()
    assert [(one.object_repr, one.change_message) for one in notes] == [
        ("Archive", ""),
        ("", ""),
        ("", ""),
        ("Archive", '[{"changed": {"fields": ["Name"]}}]'),
    ]
