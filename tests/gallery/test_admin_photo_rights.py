"""What staff may do to photos in the admin: what their role in that very library allows, and no more."""

import factories
import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from accounts.models import Library, Membership, Role, User
from accounts.services.libraries import add_member
from photos.models import ObjectSweep, Photo
from processing.models import RunState, StageRun

pytestmark = pytest.mark.django_db

PHOTOS = "/admin/photos/photo/"
SUBMITTED = {"_form_submitted": "True"}
ACTIONS = ("retry_dead", "run_again", "trash_photo", "restore_photo", "purge_photo")
WANTED = ("view_photo", "change_photo", "delete_photo", "view_stagerun", "change_stagerun")


@pytest.fixture
def library() -> Library:
    return factories.make_library(name="Archive")


def staff(library: Library, role: str) -> User:
    """Make somebody who may do everything in the admin, and in the library what the role allows."""
    user = factories.make_member(library, role)
    user.is_staff = True
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename__in=WANTED))
    return user


def everything() -> list[object]:
    rows = [list(model.objects.order_by("pk").values()) for model in (Photo, StageRun)]
    return [*rows, ObjectSweep.objects.count()]


def messages(client: Client) -> list[str]:
    return [str(message) for message in client.get(PHOTOS).context["messages"]]


def offered(client: Client, photo: Photo) -> list[str]:
    actions = client.get(f"{PHOTOS}{photo.pk}/change/").context["actions_detail"]
    return [action["path"].rstrip("/").rpartition("/")[2] for action in actions]


def test_a_visitor_changes_nothing_whatever_staff_may_do(client: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    factories.make_run(photo, state=RunState.DEAD)
    factories.make_run(photo, "renditions")
    elsewhere = factories.make_library(name="Weddings")
    client.force_login(user := staff(library, "visitor"))
    add_member(library=elsewhere, user=user, role="admin")
    before = everything()
    for action in ACTIONS:
        data = SUBMITTED | {"stage": "renditions"}
        assert client.post(f"{PHOTOS}{photo.pk}/{action}/", data).status_code == 403, action
    for action in ("move_to_trash", "restore"):
        client.post(PHOTOS, {"action": action, "_selected_action": [photo.pk]})
    assert messages(client) == ["None of them was moved: they are there already, or your role does not allow it."] * 2
    assert everything() == before
    assert offered(client, photo) == []


def test_of_many_photos_those_go_to_the_trash_that_may(client: Client, library: Library) -> None:
    theirs = factories.make_photo(library)
    ours = factories.make_photo(factories.make_library(name="Weddings"))
    client.force_login(user := staff(library, "visitor"))
    add_member(library=ours.library, user=user, role="editor")
    client.post(PHOTOS, {"action": "move_to_trash", "_selected_action": [theirs.pk, ours.pk]})
    assert messages(client) == ["1 photo is in the trash."]
    assert list(Photo.objects.present()) == [theirs]
    client.post(f"{PHOTOS}?trash=1", {"action": "restore", "_selected_action": [ours.pk]})
    assert set(Photo.objects.present()) == {theirs, ours}


def test_an_editor_brings_photos_back_and_deletes_none_for_good(client: Client, library: Library) -> None:
    photo = factories.make_photo(library, trashed_at=timezone.now())
    client.force_login(user := staff(library, "editor"))
    assert offered(client, photo) == ["restore_photo"]
    assert client.post(f"{PHOTOS}{photo.pk}/purge_photo/", SUBMITTED).status_code == 403
    assert (Photo.objects.get().trashed_at, ObjectSweep.objects.count()) == (photo.trashed_at, 0)
    Membership.objects.filter(user=user).update(role=Role.objects.get(name="admin"))
    assert offered(client, photo) == ["restore_photo", "purge_photo"]
    assert client.post(f"{PHOTOS}{photo.pk}/purge_photo/", SUBMITTED)["HX-Redirect"] == f"{PHOTOS}?trash=1"
    assert Photo.objects.count() == 0


def test_an_editor_retries_and_runs_again(client: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    run = factories.make_run(photo, state=RunState.DEAD)
    client.force_login(staff(library, "editor"))
    assert offered(client, photo) == ["correct", "retry_dead", "run_again", "trash_photo"]
    client.post(f"{PHOTOS}{photo.pk}/retry_dead/", SUBMITTED)
    run.refresh_from_db()
    assert run.state == RunState.PENDING


def test_the_page_offers_a_retry_to_whom_it_is_given(client: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    run = factories.make_run(photo, state=RunState.DEAD)
    retry = f"/admin/processing/stagerun/{run.pk}/retry_run/"
    Role.objects.create(name="auditor", permissions=["photos.view", "processing.view"])
    user = staff(library, "editor")
    client.force_login(user)
    assert retry in client.get(f"{PHOTOS}{photo.pk}/change/").content.decode()
    Membership.objects.filter(user=user).update(role=Role.objects.get(name="auditor"))
    assert retry not in client.get(f"{PHOTOS}{photo.pk}/change/").content.decode()


def test_faces_are_counted_for_those_who_may_see_people(client: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    factories.make_face(photo)
    Role.objects.create(name="viewer", permissions=["photos.view"])
    user = staff(library, "visitor")
    # who sees people elsewhere sees none here
    add_member(library=factories.make_library(), user=user, role="admin")
    client.force_login(user)
    assert told_of_faces(client) == ([1], [photo], [])
    Membership.objects.filter(user=user, library=library).update(role=Role.objects.get(name="viewer"))
    assert told_of_faces(client) == ([0], [], [photo])


def told_of_faces(client: Client) -> tuple[list[int], list[Photo], list[Photo]]:
    """Give the faces that are counted per photo, the photos with faces, and those without."""
    lists = [client.get(f"{PHOTOS}{query}").context["cl"].result_list for query in ("", "?faces=1", "?faces=0")]
    return [photo.faces_told for photo in lists[0]], list(lists[1]), list(lists[2])


def test_cameras_and_errors_of_other_libraries_are_not_offered(client: Client, library: Library) -> None:
    for one, make, code in ((library, "Canon", "damaged"), (factories.make_library(), "Leica", "timed_out")):
        photo = factories.make_photo(one)
        factories.make_metadata(photo, camera_make=make)
        factories.make_run(photo, state=RunState.DEAD, error_code=code)
    client.force_login(staff(library, "editor"))
    assert offers(client, PHOTOS, "camera_make") == ["Canon"]
    assert offers(client, "/admin/processing/stagerun/", "error_code") == ["damaged"]
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    assert offers(client, PHOTOS, "camera_make") == ["Canon", "Leica"]
    assert offers(client, "/admin/processing/stagerun/", "error_code") == ["damaged", "timed_out"]


def offers(client: Client, address: str, name: str) -> list[str]:
    filters = client.get(address).context["cl"].filter_specs
    return next([value for value, _ in one.lookup_choices] for one in filters if name in one.expected_parameters())
