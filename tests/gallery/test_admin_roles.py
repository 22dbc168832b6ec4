"""What staff may do to libraries, members, people and faces: what their role in that library allows, and no more."""

import factories
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from accounts.models import Library, Membership, User
from accounts.services.libraries import add_member
from photos.models import Face, Person
from processing.models import LibraryRun

pytestmark = pytest.mark.django_db

LIBRARIES, USERS = "/admin/accounts/library/", "/admin/accounts/user/"
SUBMITTED = {"_form_submitted": "True"}
NO_ROWS = {
    "memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0",
    "memberships-MIN_NUM_FORMS": "0", "memberships-MAX_NUM_FORMS": "1000",
    "consent_records-TOTAL_FORMS": "0", "consent_records-INITIAL_FORMS": "0",
}  # fmt: skip


@pytest.fixture
def library() -> Library:
    return factories.make_library(name="Archive")


def staff(library: Library, role: str) -> User:
    """Make somebody who may do everything in the admin but is no superuser, and in the library what the role allows."""
    user = factories.make_member(library, role)
    user.is_staff = True
    user.save()
    user.user_permissions.set(Permission.objects.filter(content_type__app_label__in=["accounts", "photos"]))
    return user


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def state() -> list[object]:
    users = User.objects.order_by("pk").values("pk", "email", "password", "is_staff", "is_superuser")
    models = (Library, Membership, Person, Face, LibraryRun)
    return [list(users), *(list(model.objects.order_by("pk").values()) for model in models)]


def new_row(library: Library, user: User, role: str) -> dict[str, str]:
    role_id = Membership._meta.get_field("role").related_model.objects.get(name=role).pk
    values = {"library": library.pk, "user": user.pk, "role": role_id}
    return {
        **NO_ROWS,
        "memberships-TOTAL_FORMS": "1",
        **{f"memberships-0-{name}": str(v) for name, v in values.items()},
    }


@pytest.mark.parametrize("action", ["switch_on", "switch_off"])
@pytest.mark.parametrize(("role", "status"), [("visitor", 403), ("editor", 403), ("admin", 200)])
def test_face_analysis_is_switched_by_whose_role_allows_it(
    library: Library, action: str, role: str, status: int
) -> None:
    client, before = logged_in(staff(library, role)), state()
    assert client.post(f"{LIBRARIES}{library.pk}/{action}/", SUBMITTED).status_code == status
    if status == 403:
        assert state() == before
    page = client.get(f"{LIBRARIES}{library.pk}/change/").content.decode()
    assert ("/switch_o" in page) is (status == 200)


@pytest.mark.parametrize(("role", "is_renamed"), [("visitor", False), ("editor", False), ("admin", True)])
def test_a_library_is_renamed_by_whose_role_allows_it(library: Library, role: str, is_renamed: bool) -> None:
    client, before = logged_in(staff(library, role)), state()
    response = client.post(f"{LIBRARIES}{library.pk}/change/", {"name": "Mine", **NO_ROWS})
    assert response.status_code == (302 if is_renamed else 403)
    library.refresh_from_db()
    assert library.name == ("Mine" if is_renamed else "Archive")
    if not is_renamed:
        assert state() == before


def test_members_are_made_by_whose_role_allows_it(library: Library) -> None:
    friend = factories.make_user()
    other = factories.make_library(name="Other")
    visitor = staff(other, "visitor")
    before = state()
    row = new_row(other, visitor, "visitor") | {"name": "Other"}
    assert logged_in(visitor).post(f"{LIBRARIES}{other.pk}/change/", row).status_code == 403
    assert state() == before

    admin = staff(library, "admin")
    row = new_row(library, friend, "visitor") | {"name": "Archive"}
    assert logged_in(admin).post(f"{LIBRARIES}{library.pk}/change/", row).status_code == 302
    assert Membership.objects.get(library=library, user=friend).role.name == "visitor"


def test_nobody_gives_themselves_more_on_their_own_page(library: Library) -> None:
    user = staff(factories.make_library(), "visitor")
    factories.make_member(library, "admin")
    client = logged_in(user)
    everything = new_row(library, user, "admin") | {
        "email": user.email, "name": "Me", "is_active": "on", "is_staff": "on", "is_superuser": "on",
    }  # fmt: skip
    client.post(f"{USERS}{user.pk}/change/", everything)
    user.refresh_from_db()
    assert (user.is_superuser, user.memberships.filter(library=library).exists()) == (False, False)


def test_staff_see_members_and_change_no_account(library: Library) -> None:
    user = staff(library, "admin")
    chief, colleague, guest = (factories.make_member(library, "visitor") for _ in range(3))
    User.objects.filter(pk=chief.pk).update(is_staff=True, is_superuser=True)
    User.objects.filter(pk=colleague.pk).update(is_staff=True)
    add_member(library=factories.make_library(), user=guest, role="admin")
    stranger = factories.make_member(factories.make_library(), "visitor")
    client, before = logged_in(user), state()
    password = {"password1": "a new long one 1", "password2": "a new long one 1", "usable_password": "true"}
    for one in (chief, colleague, guest, stranger, user):
        changed = client.post(f"{USERS}{one.pk}/change/", {"email": "x@example.org", **NO_ROWS})
        set_anew = client.post(f"{USERS}{one.pk}/password/", password)
        # one's own is changed where the old one is asked for
        assert (changed.status_code, set_anew.status_code) == (403, 302 if one == user else 403)
        client.post(f"{USERS}{one.pk}/delete/", {"post": "yes"})
    client.post(USERS, {"action": "delete_selected", "_selected_action": [stranger.pk, guest.pk], "post": "yes"})
    assert state() == before
    seen = set(client.get(USERS).context["cl"].result_list)
    assert seen == {user, chief, colleague, guest}


@pytest.mark.parametrize(("role", "status"), [("visitor", 403), ("editor", 302)])
def test_people_are_named_and_faces_moved_by_whose_role_allows_it(library: Library, role: str, status: int) -> None:
    photo = factories.make_photo(library)
    ann, bob = Person.objects.create(library=library), Person.objects.create(library=library)
    face = factories.make_face(photo, person=ann, created_at=timezone.now())
    client, before = logged_in(staff(library, role)), state()
    assert client.post(f"/admin/photos/person/{ann.pk}/change/", {"name": "Ann"}).status_code == status
    assert client.post(f"/admin/photos/face/{face.pk}/change/", {"person": str(bob.pk)}).status_code == status
    if status == 403:
        assert state() == before
    else:
        face.refresh_from_db()
        assert (Person.objects.get(pk=ann.pk).name, face.person_id) == ("Ann", bob.pk)
        # it outlives the person
        noted = list(LogEntry.objects.filter(object_id=ann.pk).values_list("object_repr", "change_message"))
        assert (len(noted), "Ann" in str(noted)) == (1, False)
