"""Photos in the admin: the list, its filters and search, the trash, and who sees what."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from urllib.parse import urlencode

import factories
import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import Library, Membership, User
from gallery.admin import base
from gallery.admin.filters import CHOICES_LIMIT
from photos.models import Photo
from photos.services import trash
from processing.models import RunState

pytestmark = pytest.mark.django_db

PHOTOS = "/admin/photos/photo/"


@pytest.fixture
def library() -> Library:
    return factories.make_library(name="Archive")


@pytest.fixture
def operator() -> User:
    return factories.make_user(is_staff=True, is_superuser=True)


@pytest.fixture
def admin(client: Client, operator: User) -> Client:
    client.force_login(operator)
    return client


def found(client: Client, **parameters: object) -> list[str]:
    response = client.get(f"{PHOTOS}?{urlencode(parameters)}")
    assert response.status_code == HTTPStatus.OK, response.headers
    return [photo.original_filename for photo in response.context["cl"].result_list]


def staff(library: Library, role: str, *permissions: str) -> User:
    user = factories.make_member(library, role)
    user.is_staff = True
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def test_a_line_says_what_a_photo_is(admin: Client, library: Library) -> None:
    photo = factories.make_photo(library, original_filename="<b>holiday</b>.jpg", width=4000, height=3000)
    factories.make_rendition(photo, "preview", width=1440)
    smallest = factories.make_rendition(photo, "thumb_300", width=300)
    factories.make_metadata(
        photo,
        camera_make="NIKON CORPORATION",
        camera_model="NIKON D750",
        taken_at=datetime(2019, 5, 4, 12, 30, tzinfo=UTC),
        taken_at_offset=120,
        taken_at_source="exif",
    )
    factories.make_face(photo)
    factories.make_face(photo, confidence=0.85)
    factories.make_run(photo, state=RunState.DEAD)
    page = admin.get(PHOTOS).content.decode()
    assert f'src="/admin/photos/photo/{photo.pk}/rendition/{smallest.kind}/?v=' in page
    assert "&lt;b&gt;holiday&lt;/b&gt;.jpg" in page
    assert "<b>holiday</b>" not in page
    assert "JPEG 4000\u00d73000" in page
    assert "Needs attention" in page
    assert "2019-05-04 14:30:00 UTC+02:00" in page
    assert '<span class="dr-sub">NIKON D750</span>' in page
    row = next(iter(admin.get(PHOTOS).context["cl"].result_list))
    assert row.face_count == 1


def test_the_newest_comes_first(admin: Client, library: Library) -> None:
    for name in ("a", "b", "c"):
        factories.make_photo(library, original_filename=name)
    assert found(admin) == ["c", "b", "a"]


def test_the_list_costs_the_same_queries_however_long_it_is(admin: Client, library: Library) -> None:
    def make(count: int) -> None:
        for _ in range(count):
            photo = factories.make_photo(library)
            factories.make_rendition(photo, "thumb_300")
            factories.make_metadata(photo, camera_make="Canon")
            factories.make_face(photo)
            factories.make_run(photo)

    make(3)
    admin.get(PHOTOS)
    with CaptureQueriesContext(
        connection,
    ) as few:
        assert len(found(admin)) == 3
    make(27)
    with CaptureQueriesContext(connection) as many:
        assert len(found(admin)) == 30
    # session, user, libraries being erased, dead letters of both ledgers, camera makes, count, photos, renditions
    assert (len(few), len(many)) == (9, 9)


def test_a_long_list_is_not_counted_to_its_end(
    admin: Client, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        factories.make_photo(library)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE photos_photo")
    monkeypatch.setattr(base, "EXACT_COUNT_LIMIT", 5)
    assert base.EstimatedPaginator(Photo.objects.order_by("-id"), 2).count == 5
    monkeypatch.setattr(base, "EXACT_COUNT_LIMIT", 3)
    with CaptureQueriesContext(connection) as queries:
        estimated = base.EstimatedPaginator(Photo.objects.order_by("-id"), 2).count
    assert estimated == 5
    assert len(queries) == 2
    assert "LIMIT 4" in queries[0]["sql"]
    assert queries[1]["sql"].startswith("EXPLAIN")
    assert isinstance(admin.get(PHOTOS).context["cl"].paginator, base.EstimatedPaginator)


@pytest.mark.parametrize(
    ("state", "names"),
    [("pending", ["new"]), ("processing", ["begun"]), ("ready", ["done"]), ("attention", ["broken"]), ("", None)],
)
def test_filter_by_state(admin: Client, library: Library, state: str, names: list[str] | None) -> None:
    for name, run_state in (("new", "pending"), ("begun", "running"), ("done", "done"), ("broken", "dead")):
        photo = factories.make_photo(library, original_filename=name)
        factories.make_run(photo, state=run_state)
    assert found(admin, state=state) == (names or ["broken", "done", "begun", "new"])


def test_filter_by_library(admin: Client, library: Library) -> None:
    factories.make_photo(library, original_filename="ours")
    factories.make_photo(factories.make_library(), original_filename="theirs")
    assert found(admin, library__id__exact=library.pk) == ["ours"]


def test_filter_by_format_faces_and_camera(admin: Client, library: Library) -> None:
    heic = factories.make_photo(library, original_filename="heic", image_format="HEIF")
    jpeg = factories.make_photo(library, original_filename="jpeg")
    factories.make_face(heic)
    factories.make_face(jpeg, confidence=0.85)
    factories.make_metadata(heic, camera_make="Apple")
    factories.make_metadata(jpeg, camera_make="Canon")
    assert found(admin, format="HEIF") == ["heic"]
    assert found(admin, faces="1") == ["heic"]
    assert found(admin, faces="0") == ["jpeg"]
    assert found(admin, camera_make="Canon") == ["jpeg"]


def camera_makes(client: Client) -> list[str]:
    """Give the makes that the filter offers."""
    filters = client.get(PHOTOS).context["cl"].filter_specs
    offered = next(one for one in filters if getattr(one, "parameter_name", "") == "camera_make")
    assert all(value == label for value, label in offered.lookup_choices)
    return [value for value, _ in offered.lookup_choices]


def test_the_camera_makes_are_offered_in_one_probe_each(admin: Client, library: Library) -> None:
    for make in ("Canon", "Apple", "Canon", ""):
        factories.make_metadata(factories.make_photo(library), camera_make=make)
    assert camera_makes(admin) == ["Apple", "Canon"]


def test_a_member_is_offered_the_makes_of_what_they_see(
    client: Client, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = factories.make_library()
    for number in range(CHOICES_LIMIT + 10):
        factories.make_metadata(factories.make_photo(other), camera_make=f"Brand {number}")
    factories.make_metadata(factories.make_photo(library), camera_make="Zenit")
    for make in ("Canon", "", "Agfa", "Canon"):
        factories.make_metadata(factories.make_photo(library), camera_make=make)
    factories.make_metadata(factories.make_photo(library, trashed_at=timezone.now()), camera_make="Trashed")
    user = staff(library, "visitor", "view_photo")
    client.force_login(user)
    with CaptureQueriesContext(connection) as queries:
        # those of another library come first and are more than are offered
        assert camera_makes(client) == ["Agfa", "Canon", "Zenit"]
    assert len([one for one in queries if "camera_make >" in one["sql"]]) == 1
    monkeypatch.setattr("gallery.admin.camera_makes.NEWEST_PHOTOS", 4)
    assert camera_makes(client) == ["Agfa", "Canon"]
    Membership.objects.filter(user=user).delete()
    assert camera_makes(client) == []


def test_filter_by_day_includes_the_whole_last_day(admin: Client, library: Library) -> None:
    for name, moment in (
        ("before", datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)),
        ("first", datetime(2024, 3, 1, tzinfo=UTC)),
        ("last", datetime(2024, 3, 2, 23, 59, 59, tzinfo=UTC)),
        ("after", datetime(2024, 3, 3, tzinfo=UTC)),
    ):
        photo = factories.make_photo(library, original_filename=name, uploaded_at=moment)
        factories.make_metadata(photo, taken_at=moment + timedelta(days=365))
    assert found(admin, uploaded_at_from="2024-03-01", uploaded_at_to="2024-03-02") == ["last", "first"]
    assert found(admin, uploaded_at_from="2024-03-02") == ["after", "last"]
    beyond = admin.get(f"{PHOTOS}?uploaded_at_to=9999-12-31")
    assert (beyond.status_code, beyond.url) == (HTTPStatus.FOUND, PHOTOS)
    assert found(admin, taken_at_to="2025-02-28") == ["before"]
    assert found(admin, uploaded_at_from="no day") == ["after", "last", "first", "before"]


def test_search_finds_what_a_photo_is_known_by(admin: Client, library: Library) -> None:
    beach = factories.make_photo(library, original_filename="Beach 01.jpg")
    forest = factories.make_photo(library, original_filename="forest.jpg")
    factories.make_metadata(beach, camera_make="Canon", camera_model="EOS R5")
    ada = factories.make_person(library, name="Ada Lovelace")
    factories.make_face(forest, person=ada)
    factories.make_face(forest, person=ada)
    assert found(admin, q="beach") == ["Beach 01.jpg"]
    assert found(admin, q="eos canon") == ["Beach 01.jpg"]
    assert found(admin, q="lovelace") == ["forest.jpg"]
    assert found(admin, q="lovelace canon") == []
    assert found(admin, q='"beach 01"') == ["Beach 01.jpg"]
    assert found(admin, q=str(forest.pk)) == ["forest.jpg"]
    assert found(admin, q=beach.sha256[:12].upper()) == ["Beach 01.jpg"]
    assert found(admin, q="0" * 64) == []


def test_the_trash_is_another_list(admin: Client, library: Library) -> None:
    kept = factories.make_photo(library, original_filename="kept")
    gone = factories.make_photo(library, original_filename="gone")
    trash.move_to_trash(photo_ids=[gone.pk])
    assert found(admin) == ["kept"]
    assert found(admin, trash="1") == ["gone"]
    assert admin.get(f"{PHOTOS}{gone.pk}/change/").status_code == HTTPStatus.OK
    assert kept.trashed_at is None


def test_photos_go_to_the_trash_and_come_back(admin: Client, library: Library) -> None:
    chosen = [factories.make_photo(library), factories.make_photo(library)]
    other = factories.make_photo(library)
    marked = {"_selected_action": [photo.pk for photo in chosen]}
    response = admin.post(PHOTOS, {**marked, "action": "move_to_trash"}, follow=True)
    assert [str(message) for message in response.context["messages"]] == ["2 photos are in the trash."]
    assert set(Photo.objects.present()) == {other}
    response = admin.post(f"{PHOTOS}?trash=1", {**marked, "action": "restore"}, follow=True)
    assert [str(message) for message in response.context["messages"]] == ["2 photos are back."]
    assert set(Photo.objects.present()) == {other, *chosen}


def test_nobody_deletes_or_edits_a_photo(admin: Client, library: Library) -> None:
    photo = factories.make_photo(library, original_filename="mine.jpg")
    assert admin.post(f"{PHOTOS}{photo.pk}/delete/", {"post": "yes"}).status_code == HTTPStatus.FORBIDDEN
    assert admin.post(f"{PHOTOS}add/", {}).status_code == HTTPStatus.FORBIDDEN
    assert admin.post(f"{PHOTOS}{photo.pk}/change/", {"original_filename": "x"}).status_code == HTTPStatus.FORBIDDEN
    marked = {"action": "delete_selected", "_selected_action": [photo.pk], "post": "yes"}
    admin.post(PHOTOS, marked)
    photo.refresh_from_db()
    assert photo.original_filename == "mine.jpg"


def test_strangers_are_sent_to_the_login(client: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    for user in (None, factories.make_member(library, "admin")):
        if user:
            client.force_login(user)
        for page in (PHOTOS, f"{PHOTOS}{photo.pk}/change/", f"{PHOTOS}{photo.pk}/original/"):
            response = client.get(page)
            assert response.status_code == HTTPStatus.FOUND
            assert response["Location"] == f"{reverse('admin:login')}?next={page}"


def test_staff_see_the_photos_of_their_libraries(client: Client, library: Library) -> None:
    ours = factories.make_photo(library, original_filename="ours")
    theirs = factories.make_photo(factories.make_library(), original_filename="theirs")
    trashed = factories.make_photo(factories.make_library(), trashed_at=timezone.now())
    client.force_login(staff(library, "visitor", "view_photo"))
    assert found(client) == ["ours"]
    assert found(client, trash="1") == []
    assert client.get(f"{PHOTOS}{ours.pk}/change/").status_code == HTTPStatus.OK
    for foreign in (theirs, trashed):
        response = client.get(f"{PHOTOS}{foreign.pk}/change/")
        assert (response.status_code, response["Location"]) == (HTTPStatus.FOUND, "/admin/")


def test_a_visitor_does_not_see_the_trash_and_an_editor_does(client: Client, library: Library) -> None:
    factories.make_photo(library, original_filename="gone", trashed_at=timezone.now())
    client.force_login(staff(library, "visitor", "view_photo"))
    assert found(client, trash="1") == []
    client.force_login(staff(library, "editor", "view_photo"))
    assert found(client, trash="1") == ["gone"]


def test_staff_without_the_permission_move_nothing(client: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    client.force_login(staff(library, "admin", "view_photo"))
    client.post(PHOTOS, {"action": "move_to_trash", "_selected_action": [photo.pk]})
    data = {"_form_submitted": "True"}
    assert client.post(f"{PHOTOS}{photo.pk}/trash_photo/", data).status_code == HTTPStatus.FORBIDDEN
    photo.refresh_from_db()
    assert photo.trashed_at is None


def test_staff_without_any_permission_see_no_list(client: Client, library: Library) -> None:
    client.force_login(staff(library, "admin"))
    assert client.get(PHOTOS).status_code == HTTPStatus.FORBIDDEN
