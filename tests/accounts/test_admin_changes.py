"""What staff change in the admin is in the trail: with what was changed, or not at all."""

import factories
import pytest
from django.test import Client

from accounts.models import AuditEvent, Role, User

pytestmark = pytest.mark.django_db


@pytest.fixture
def role() -> Role:
    return Role.objects.create(name="archivist", permissions=["photos.view"])


def changes() -> list[tuple[str, dict[str, str]]]:
    events = AuditEvent.objects.filter(action="admin.changed").order_by("id")
    return [
        (str(event.actor_id), event.details | ({"id": event.subject_id} if event.subject_id else {}))
        for event in events
    ]


def test_a_form_and_an_action(admin_client: Client, admin_user: User, role: Role) -> None:
    address = f"/admin/accounts/role/{role.pk}/change/"
    assert admin_client.post(address, {"name": "keeper", "permissions": ["photos.view"]}).status_code == 302
    chosen = {"action": "delete_selected", "_selected_action": [role.pk], "post": "yes"}
    assert admin_client.post("/admin/accounts/role/", chosen).status_code == 302
    assert not Role.objects.filter(pk=role.pk).exists()
    assert changes() == [
        (str(admin_user.pk), {"page": "accounts_role_change", "id": str(role.pk)}),
        (str(admin_user.pk), {"page": "accounts_role_changelist", "action": "delete_selected"}),
    ]


def test_what_was_done_in_a_popup_is_in_it(admin_client: Client, admin_user: User, role: Role) -> None:
    user = factories.make_user()
    form = {"email": user.email, "name": "", "is_staff": "on", "_popup": "1"}
    rows = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    answer = admin_client.post(f"/admin/accounts/user/{user.pk}/change/?_popup=1", form | rows)
    assert (answer.status_code, User.objects.get(pk=user.pk).is_staff) == (200, True)
    assert changes() == [(str(admin_user.pk), {"page": "accounts_user_change", "id": str(user.pk)})]


def test_a_library_is_told_of_what_staff_do_in_it(admin_client: Client) -> None:
    library = factories.make_library()
    form = {"name": "Another", "quota_bytes": "", "memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    form |= {"consent_records-TOTAL_FORMS": 0, "consent_records-INITIAL_FORMS": 0}
    assert admin_client.post(f"/admin/accounts/library/{library.pk}/change/", form).status_code == 302
    event = AuditEvent.objects.get(action="admin.changed")
    assert (event.library_id, event.subject_type, event.subject_id) == (library.pk, "library", str(library.pk))
    photo = factories.make_photo(library)
    admin_client.post(f"/admin/photos/photo/{photo.pk}/trash_photo/", {"_form_submitted": "True"})
    event = AuditEvent.objects.filter(action="admin.changed").latest("id")
    assert (event.library_id, event.subject_type, event.subject_id) == (library.pk, "photo", str(photo.pk))


@pytest.mark.parametrize("action", ["x" * 100_000, "\0", "no such one"])
def test_what_is_no_action_is_not_kept(admin_client: Client, action: str, role: Role) -> None:
    address = f"/admin/accounts/role/{role.pk}/change/"
    form = {"name": "keeper", "permissions": ["photos.view"], "action": action}
    assert admin_client.post(address, form).status_code == 302
    assert AuditEvent.objects.get(action="admin.changed").details == {"page": "accounts_role_change"}


def test_what_was_only_looked_at_refused_or_wrong_is_not_in_it(admin_client: Client, role: Role) -> None:
    address = f"/admin/accounts/role/{role.pk}/change/"
    assert admin_client.get(address).status_code == 200
    assert admin_client.post(address, {"name": ""}).status_code == 200
    # asked whether it is meant
    asked = admin_client.post("/admin/accounts/role/", {"action": "delete_selected", "_selected_action": [role.pk]})
    assert asked.status_code == 200
    assert admin_client.post("/admin/accounts/auditevent/add/").status_code == 403
    assert changes() == []


def test_a_change_that_fails_is_not_in_it(admin_client: Client, monkeypatch: pytest.MonkeyPatch, role: Role) -> None:
    def fail(self: Role, *_args: object, **_options: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(Role, "save", fail)
    with pytest.raises(RuntimeError):
        admin_client.post(f"/admin/accounts/role/{role.pk}/change/", {"name": "keeper", "permissions": ["photos.view"]})
    assert changes() == []


def test_a_change_that_cannot_be_told_of_is_not_made(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch, role: Role
) -> None:
    def fail(**_values: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(AuditEvent.objects, "create", fail)
    with pytest.raises(RuntimeError):
        admin_client.post(f"/admin/accounts/role/{role.pk}/change/", {"name": "keeper", "permissions": ["photos.view"]})
    assert Role.objects.get(pk=role.pk).name == "archivist"


def test_whoever_may_not_enter_leaves_nothing(client: Client, role: Role) -> None:
    client.force_login(factories.make_user())
    address = f"/admin/accounts/role/{role.pk}/change/"
    response = client.post(address, {"name": "keeper", "permissions": ["photos.view"]})
    assert (response.status_code, response["Location"]) == (302, f"/admin/login/?next={address}")
    assert Role.objects.get(pk=role.pk).name == "archivist"
    assert changes() == []
