"""The group "Library staff": with it, and a role, somebody of the staff works in the admin on their own library."""

from importlib import import_module

import factories
import pytest
from access_world import Place
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.http import HttpRequest
from django.test import Client

from accounts.models import Invitation, Membership, Role, User
from gallery.admin.sidebar import navigation
from photos.models import Photo

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]

migration = import_module("gallery.migrations.0002_library_staff")
later = import_module("gallery.migrations.0004_library_staff_of_new_pages")
SUBMITTED = {"_form_submitted": "True"}
# what the sidebar offers to them, and nothing that is of the whole installation
OFFERED = {
    "Dashboard", "Photos", "Albums", "Tags", "Edits", "Near-duplicates", "No duplicates", "People", "Faces",
    "Decisions", "Libraries", "Shares", "Dead letters", "Stage runs", "Library runs",
    "Users", "Invitations", "Roles", "Audit trail", "Erasure receipts",
}  # fmt: skip


def make_group() -> None:
    with connection.schema_editor() as editor:
        migration.make_group(apps, editor)
        later.open_pages(apps, editor)


@pytest.fixture
def group() -> Group:
    """The group as the migration makes it, also where another test has emptied the database."""
    make_group()
    return Group.objects.get(name="Library staff")


def curator(place: Place, group: Group, role: str = "admin") -> tuple[User, Client]:
    user = factories.make_member(place.library, role)
    User.objects.filter(pk=user.pk).update(is_staff=True)
    user.groups.add(group)
    client = Client()
    client.force_login(user)
    return User.objects.get(pk=user.pk), client


def offered(user: User) -> dict[str, str]:
    request = HttpRequest()
    request.user = user
    return {str(item["title"]): item["link"] for one in navigation(request) for item in one["items"]}


def held(group: Group) -> set[str]:
    rows = group.permissions.values_list("content_type__app_label", "codename")
    return {f"{app}.{codename}" for app, codename in rows}


def test_a_new_database_has_it_with_permissions_of_pages_that_roles_narrow() -> None:
    group = Group.objects.get()
    assert (group.name, held(group)) == ("Library staff", {
        "photos.view_photo", "photos.change_photo", "photos.delete_photo",
        "photos.view_person", "photos.change_person", "photos.view_face", "photos.change_face",
        "accounts.view_library", "accounts.change_library", "accounts.view_consentrecord",
        "accounts.view_membership", "accounts.add_membership", "accounts.change_membership",
        "accounts.delete_membership", "accounts.view_user", "accounts.view_role",
        "accounts.view_invitation", "accounts.add_invitation", "accounts.change_invitation",
        "accounts.view_auditevent", "accounts.view_erasurereceipt", "gallery.view_share", "gallery.change_share",
        "processing.view_stagerun", "processing.change_stagerun",
        "processing.view_libraryrun", "processing.change_libraryrun",
        "photos.view_tag", "photos.change_tag", "photos.view_edit", "photos.view_duplicategroup",
        "photos.view_duplicatedecision", "photos.view_persondecision", "gallery.view_album", "gallery.change_album",
    })  # fmt: skip
    # named as Django names them
    assert group.permissions.get(codename="view_auditevent").name == "Can view audit event"


def test_what_an_operator_took_out_of_it_stays_out(group: Group) -> None:
    group.permissions.remove(Permission.objects.get(codename="delete_photo"))

    make_group()

    assert "photos.delete_photo" not in held(group)
    assert Group.objects.filter(name="Library staff").count() == 1


def test_every_page_that_is_offered_opens_and_shows_one_library(group: Group) -> None:
    place, elsewhere = Place(), Place()
    user, client = curator(place, group)
    links = offered(user)
    assert set(links) == OFFERED

    rows = {}
    for title, link in links.items():
        response = client.get(link)
        assert response.status_code == 200, title
        text = response.content.decode()
        assert [mark for mark in elsewhere.marks() if mark in text] == [], title
        if "cl" in response.context:
            rows[title] = len(response.context["cl"].result_list)

    assert rows.pop("Roles") == Role.objects.count()  # the same in every library
    assert rows.pop("Users") == Membership.objects.filter(library=place.library).count()
    assert rows.pop("Audit trail") >= 1
    assert rows == {
        "Photos": 2, "People": 2, "Faces": 2, "Libraries": 1, "Shares": 1, "Stage runs": 1, "Library runs": 1,
        "Invitations": 1, "Erasure receipts": 1, "Albums": 1, "Tags": 1, "Edits": 1, "Near-duplicates": 1,
        "No duplicates": 1, "Decisions": 1,
    }  # fmt: skip


def test_without_the_group_the_admin_of_the_same_person_is_empty(group: Group) -> None:
    user, _ = curator(Place(), group)
    user.groups.clear()

    assert set(offered(User.objects.get(pk=user.pk))) == {"Dashboard"}


def test_they_work_there_as_their_role_allows(group: Group) -> None:
    place = Place()
    _, client = curator(place, group)

    page = client.get(f"/admin/accounts/library/{place.library.pk}/change/").content.decode()
    assert place.member.email in page  # members
    roles = client.get("/admin/autocomplete/?app_label=accounts&model_name=membership&field_name=role&term=edi")
    assert [one["text"] for one in roles.json()["results"]] == ["editor"]
    client.post(f"/admin/photos/photo/{place.photo.pk}/trash_photo/", SUBMITTED)
    client.post(f"/admin/accounts/invitation/{place.invitation.pk}/revoke/", SUBMITTED)
    client.post(f"/admin/photos/photo/{place.trashed.pk}/purge_photo/", SUBMITTED)

    assert {photo.pk for photo in Photo.objects.all()} == {place.photo.pk, place.copy.pk}
    assert Photo.objects.get(pk=place.photo.pk).trashed_at is not None
    assert Invitation.objects.get(pk=place.invitation.pk).revoked_at is not None


def test_the_group_gives_nothing_that_the_role_does_not(group: Group) -> None:
    place = Place()
    _, client = curator(place, group, role="visitor")

    for address in (
        f"/admin/photos/photo/{place.photo.pk}/trash_photo/",
        f"/admin/photos/photo/{place.trashed.pk}/purge_photo/",
        f"/admin/accounts/invitation/{place.invitation.pk}/revoke/",
    ):
        assert client.post(address, SUBMITTED).status_code in (403, 404)

    assert Photo.objects.get(pk=place.photo.pk).trashed_at is None
    assert Photo.objects.filter(pk=place.trashed.pk).exists()
    assert Invitation.objects.get(pk=place.invitation.pk).revoked_at is None


@pytest.mark.parametrize(
    ("address", "field"), [("accounts/user/{user}/change/", "user_permissions"), ("auth/group/add/", "permissions")]
)
def test_the_pickers_offer_permissions_of_pages_alone(client: Client, group: Group, address: str, field: str) -> None:
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    response = client.get(f"/admin/{address.format(user=factories.make_user().pk)}")

    picker = response.context["adminform"].form.fields[field]
    models = {f"{one.content_type.app_label}.{one.content_type.model}" for one in picker.queryset}
    assert models == {
        "accounts.apikey", "accounts.auditevent", "accounts.consentrecord", "accounts.erasurereceipt",
        "accounts.invitation", "accounts.library", "accounts.membership", "accounts.role", "accounts.user",
        "auth.group", "gallery.album", "gallery.share", "photos.duplicatedecision", "photos.duplicategroup",
        "photos.edit", "photos.export", "photos.face", "photos.person", "photos.persondecision", "photos.photo",
        "photos.tag",
        "processing.import",
        "processing.libraryrun",
        "processing.modelselection", "processing.stagepause", "processing.stagerun", "processing.upload",
        "processing.workerpresence",
    }  # fmt: skip
    assert Permission.objects.count() > 2 * picker.queryset.count()
    # whatever the group holds can be given by hand, too
    assert set(group.permissions.all()) <= set(picker.queryset)


def test_a_permission_that_is_not_offered_is_not_given(client: Client) -> None:
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    wanted, internal = (Permission.objects.get(codename=name) for name in ("view_photo", "delete_outstandingtoken"))

    refused = client.post("/admin/auth/group/add/", {"name": "Mine", "permissions": [wanted.pk, internal.pk]})
    assert (refused.status_code, Group.objects.filter(name="Mine").exists()) == (200, False)
    client.post("/admin/auth/group/add/", {"name": "Mine", "permissions": [wanted.pk]})

    assert held(Group.objects.get(name="Mine")) == {"photos.view_photo"}


def test_where_the_group_was_renamed_a_release_with_new_pages_makes_none(group: Group) -> None:
    Group.objects.filter(pk=group.pk).update(name="Curators")
    group.permissions.clear()

    with connection.schema_editor() as editor:
        later.open_pages(apps, editor)

    assert not Group.objects.filter(name="Library staff").exists()
    assert held(group) == set()
