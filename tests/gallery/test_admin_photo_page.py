"""The page of one photo in the admin: what it shows, its files, and what can be done again."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import factories
import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from accounts.models import Library, User
from gallery.admin.files import rendition_url
from gallery.photo_facts import camera_name
from photos.models import Metadata, Photo
from processing.models import RunState, StageRun, WorkerPresence
from processing.services import object_sweeps
from processing.stages import registry

pytestmark = pytest.mark.django_db

SUBMITTED = {"_form_submitted": "True"}


@pytest.fixture
def library() -> Library:
    return factories.make_library(name="Archive")


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    return client


def url(photo: Photo, page: str = "change") -> str:
    return f"/admin/photos/photo/{photo.pk}/{page}/"


def staff(library: Library, role: str) -> User:
    user = factories.make_member(library, role)
    user.is_staff = True
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_photo", "view_face", "view_stagerun"]))
    return user


def test_faces_lie_over_the_preview(admin: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    factories.make_rendition(photo, "thumb_300", width=300)
    preview = factories.make_rendition(photo, "preview", width=1440, height=1080)
    ada = factories.make_person(library, name="Ada")
    kept = factories.make_face(photo, person=ada, left=0.25, top=0.125, right=0.5, bottom=0.375, confidence=0.998)
    candidate = factories.make_face(photo, left=0.75, right=0.8, confidence=0.85)
    response = admin.get(url(photo))
    page = response.content.decode()
    assert f"/admin/photos/photo/{photo.pk}/rendition/preview/?v=" in page
    assert f'width="{preview.width}" height="{preview.height}"' in page
    assert 'style="left:25.0%;top:12.5%;width:25.0%;height:25.0%"' in page
    assert '<span class="dr-box-label">Ada 0.998</span>' in page
    boxes = {box.face.pk: box.is_kept for box in response.context["faces"]}
    assert boxes == {kept.pk: True, candidate.pk: False}
    assert page.count("dr-box dr-box-kept") == 1
    assert page.count("dr-box dr-box-candidate") == 1


def test_metadata_is_said_in_words(admin: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    factories.make_metadata(
        photo,
        camera_make="Canon",
        camera_model="Canon EOS 5D",
        taken_at=datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC),
        taken_at_source="naive",
        exposure_time=0.004,
        aperture=2.8,
        iso=400,
        focal_length=50,
        focal_length_35mm=80,
        flash_fired=False,
        latitude=-0.5,
        longitude=36.25,
        altitude=1770.04,
        keywords=["lake", "boat"],
        tags={"EXIF WhiteBalance": "Auto", "MakerNote Lens": ["a", "b"]},
        warnings=[{"code": "zero_denominator", "field": "direction", "detail": "0/0"}],
    )
    context = admin.get(url(photo)).context
    assert dict(context["metadata_rows"]) == {
        "Taken": "2020-01-02 03:04:05 (naive)",
        "Camera": "Canon EOS 5D",
        "Exposure": "1/250 s · f/2.8 · ISO 400",
        "Focal length": "50 mm (80 mm on 35 mm film)",
        "Flash": "did not fire",
        "Position": "0.50000° S, 36.25000° E",
        "Altitude": "1770.0 m",
        "Keywords": "lake, boat",
    }
    assert context["warnings"] == ["zero_denominator · direction · 0/0"]
    assert context["tags"] == [("EXIF WhiteBalance", "Auto"), ("MakerNote Lens", "a, b")]
    assert "mlat=-0.50000&amp;mlon=36.25000" in admin.get(url(photo)).content.decode()


@pytest.mark.parametrize(
    ("make", "model", "name"),
    [
        ("Canon", "Canon EOS R5", "Canon EOS R5"),
        ("NIKON CORPORATION", "NIKON D4", "NIKON D4"),
        ("EASTMAN KODAK COMPANY", "KODAK CX7530", "KODAK CX7530"),
        ("Apple", "iPhone 12", "Apple iPhone 12"),
        ("Apple", "", "Apple"),
        ("", "X100", "X100"),
        ("", "", ""),
    ],
)
def test_a_camera_says_its_make_once(make: str, model: str, name: str) -> None:
    assert camera_name(Metadata(camera_make=make, camera_model=model)) == name


def test_runs_say_how_long_why_and_why_not(admin: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    now = timezone.now()
    exif, renditions = registry.get("exif"), registry.get("renditions")
    factories.make_run(
        photo,
        "exif",
        version=exif.base_version,
        attempt=2,
        work_seconds=0.0415,
        started_at=now - timedelta(seconds=200),
        finished_at=now,
        warnings=[{"code": "icc_ignored", "field": "profile", "detail": "not an RGB one"}],
    )
    factories.make_run(photo, "renditions", RunState.PENDING, version=renditions.base_version)
    factories.make_run(photo, "face_detection", RunState.SKIPPED, skip_reason="superseded")
    factories.make_run(photo, "gone_stage", RunState.DEAD, error_code="damaged", error_detail="cut off")
    rows = admin.get(url(photo)).context["runs"]
    assert [(row.run.stage, row.work, row.total, row.obstacle) for row in rows] == [
        ("exif", "42 ms", "3 min 20 s", ""),
        ("renditions", None, None, "no_worker"),
        ("face_detection", None, None, ""),
        ("gone_stage", None, None, ""),
    ]
    page = admin.get(url(photo)).content.decode()
    for text in ("icc_ignored · profile · not an RGB one", "superseded", "damaged", "cut off", "no_worker"):
        assert text in page
    WorkerPresence.objects.create(
        name="one", queues=["ingest"], versions={"renditions": [renditions.base_version]}, started_at=now, seen_at=now
    )
    assert admin.get(url(photo)).context["runs"][1].obstacle == ""


def test_a_photo_that_nothing_is_known_of_has_a_page(admin: Client, library: Library) -> None:
    photo = factories.make_photo(library, original_filename="")
    page = admin.get(url(photo)).content.decode()
    assert "There is no preview yet." in page
    assert "Nothing is planned for this photo." in page


def test_a_photo_whose_renditions_are_dead_says_why_and_what_to_do(admin: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    factories.make_run(photo, "renditions", RunState.DEAD, error_code="damaged", error_detail="cut off")
    response = admin.get(url(photo))
    assert "There is no preview: damaged." in response.content.decode()
    assert response.content.decode().count("Upload a whole copy and discard the run") == 2


def test_renditions_are_served(admin: Client, library: Library, photo_store: Path) -> None:
    photo = factories.make_photo(library)
    data = factories.image_bytes()
    rendition = factories.make_rendition(photo, "thumb_300", data=data)
    response = admin.get(rendition_url(rendition))
    assert b"".join(response) == data
    assert response["Content-Type"] == "image/jpeg"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Cache-Control"] == "private, max-age=2592000, immutable"
    unversioned = admin.get(url(photo, "rendition/thumb_300"))
    assert (unversioned["Cache-Control"], b"".join(unversioned)) == ("private, no-cache", data)
    again = admin.get(url(photo, "rendition/thumb_300"), headers={"If-None-Match": response["ETag"]})
    assert again.status_code == HTTPStatus.NOT_MODIFIED
    assert admin.get(url(photo, "rendition/none")).status_code == HTTPStatus.NOT_FOUND


def test_a_rendition_that_is_lost_is_not_found(admin: Client, library: Library, photo_store: Path) -> None:
    photo = factories.make_photo(library)
    factories.make_rendition(photo, "thumb_300")
    assert admin.get(url(photo, "rendition/thumb_300")).status_code == HTTPStatus.NOT_FOUND


def test_the_original_is_an_attachment(admin: Client, library: Library, photo_store: Path) -> None:
    data = factories.image_bytes()
    photo = factories.make_photo(library, data=data, original_filename="été.jpg")
    response = admin.get(url(photo, "original"))
    assert b"".join(response) == data
    assert response["Content-Disposition"] == "attachment; filename*=utf-8''%C3%A9t%C3%A9.jpg"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Length"] == str(len(data))


def test_files_of_foreign_photos_are_not_found(client: Client, library: Library, photo_store: Path) -> None:
    theirs = factories.make_photo(factories.make_library(), data=factories.image_bytes())
    factories.make_rendition(theirs, "thumb_300", data=factories.image_bytes())
    client.force_login(staff(library, "admin"))
    assert client.get(url(theirs, "rendition/thumb_300")).status_code == HTTPStatus.NOT_FOUND
    assert client.get(url(theirs, "original")).status_code == HTTPStatus.NOT_FOUND


def test_a_visitor_sees_a_photo_and_not_its_original_or_its_runs(
    client: Client, library: Library, photo_store: Path
) -> None:
    photo = factories.make_photo(library, data=factories.image_bytes())
    factories.make_rendition(photo, "thumb_300", data=factories.image_bytes())
    factories.make_run(photo, state=RunState.DEAD, error_detail="/srv/secret")
    client.force_login(staff(library, "visitor"))
    thumbnail = client.get(url(photo, "rendition/thumb_300"))
    assert (thumbnail.status_code, len(b"".join(thumbnail)) > 0) == (HTTPStatus.OK, True)
    assert client.get(url(photo, "original")).status_code == HTTPStatus.NOT_FOUND
    response = client.get(url(photo))
    assert response.context["runs"] == []
    assert "/srv/secret" not in response.content.decode()


def test_following_a_link_changes_nothing(admin: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    run = factories.make_run(photo, state=RunState.DEAD)
    for action in ("retry_dead", "run_again", "trash_photo", "restore_photo", "purge_photo"):
        assert b'id="dialog"' in admin.get(url(photo, action)).content
    run.refresh_from_db()
    photo.refresh_from_db()
    assert (run.state, photo.trashed_at) == (RunState.DEAD, None)


def test_dead_runs_are_retried(admin: Client, library: Library) -> None:
    photo, other = factories.make_photo(library), factories.make_photo(library)
    dead = factories.make_run(photo, "exif", RunState.DEAD, attempt=3)
    done = factories.make_run(photo, "renditions")
    foreign = factories.make_run(other, "exif", RunState.DEAD)
    response = admin.post(url(photo, "retry_dead"), SUBMITTED)
    assert response["HX-Refresh"] == "true"
    for run, state in ((dead, "pending"), (done, "done"), (foreign, "dead")):
        run.refresh_from_db()
        assert run.state == state
    assert (dead.attempt, dead.error_code) == (0, "")
    shown = admin.get(url(photo))
    assert [str(message) for message in shown.context["messages"]] == ["1 run starts over."]


def test_a_stage_is_run_again(admin: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    version = registry.get("renditions").base_version
    run = factories.make_run(photo, "renditions", version=version)
    exif = factories.make_run(photo, "exif", version=registry.get("exif").base_version)
    response = admin.post(url(photo, "run_again"), {**SUBMITTED, "stage": "renditions"})
    assert response["HX-Refresh"] == "true"
    run.refresh_from_db()
    exif.refresh_from_db()
    assert (run.state, exif.state) == (RunState.PENDING, RunState.DONE)
    assert StageRun.objects.filter(photo=photo).count() == 3


def test_a_stage_that_there_is_not_is_refused(admin: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    response = admin.post(url(photo, "run_again"), {**SUBMITTED, "stage": "telepathy"})
    assert "HX-Refresh" not in response
    assert "telepathy" in response.content.decode()
    assert not StageRun.objects.filter(photo=photo).exists()


def test_a_run_of_a_stage_that_only_another_release_knows_is_shown(admin: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    run = factories.make_run(photo, "telepathy", RunState.PENDING)
    response = admin.get(url(photo))
    assert response.status_code == HTTPStatus.OK
    assert [(row.run, row.obstacle) for row in response.context["runs"]] == [(run, "no_worker")]
    assert admin.get(f"/admin/processing/stagerun/{run.pk}/change/").status_code == HTTPStatus.OK


def test_one_photo_goes_to_the_trash_and_comes_back(admin: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    assert admin.post(url(photo, "trash_photo"), SUBMITTED)["HX-Refresh"] == "true"
    photo.refresh_from_db()
    assert photo.trashed_at is not None
    assert "in the trash" in admin.get(url(photo)).content.decode()
    assert admin.post(url(photo, "restore_photo"), SUBMITTED)["HX-Refresh"] == "true"
    photo.refresh_from_db()
    assert photo.trashed_at is None


@pytest.mark.usefixtures("photo_store")
def test_a_photo_in_the_trash_is_deleted_for_good(admin: Client, library: Library) -> None:
    photo, other = factories.make_photo(library, data=b"bytes"), factories.make_photo(library)
    factories.make_run(photo)
    # only from the trash
    admin.post(url(photo, "purge_photo"), SUBMITTED)
    assert set(Photo.objects.all()) == {photo, other}
    admin.post(url(photo, "trash_photo"), SUBMITTED)
    response = admin.post(url(photo, "purge_photo"), SUBMITTED)
    assert response["HX-Redirect"] == "/admin/photos/photo/?trash=1"
    shown = admin.get(response["HX-Redirect"])
    assert [str(message) for message in shown.context["messages"]][-1] == "1 photo is deleted."
    assert (list(Photo.objects.all()), StageRun.objects.count()) == ([other], 0)
    assert object_sweeps.sweep().objects_deleted == 1


def test_the_page_offers_what_fits(admin: Client, library: Library) -> None:
    photo = factories.make_photo(library)

    def offered() -> set[str]:
        actions = admin.get(url(photo)).context["actions_detail"]
        return {action["path"].rstrip("/").rsplit("/", 1)[-1] for action in actions}

    assert offered() == {"correct", "run_again", "trash_photo"}
    factories.make_run(photo, state=RunState.DEAD)
    assert offered() == {"correct", "retry_dead", "run_again", "trash_photo"}
    admin.post(url(photo, "trash_photo"), SUBMITTED)
    assert offered() == {"retry_dead", "restore_photo", "purge_photo"}


def test_staff_who_may_only_look_change_nothing(client: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    run = factories.make_run(photo, state=RunState.DEAD)
    client.force_login(staff(library, "admin"))
    assert client.get(url(photo)).context["actions_detail"] == []
    for action in ("retry_dead", "run_again", "trash_photo", "restore_photo", "purge_photo"):
        response = client.post(url(photo, action), {**SUBMITTED, "stage": "exif"})
        assert response.status_code == HTTPStatus.FORBIDDEN
    run.refresh_from_db()
    photo.refresh_from_db()
    assert (run.state, photo.trashed_at) == (RunState.DEAD, None)


@pytest.mark.parametrize("object_id", ["nonsense", "0193a6de-0000-7000-8000-000000000000"])
def test_a_photo_that_is_not_there_is_not_acted_on(admin: Client, object_id: str) -> None:
    for action in ("retry_dead", "run_again", "trash_photo", "restore_photo", "purge_photo"):
        response = admin.post(f"/admin/photos/photo/{object_id}/{action}/", {**SUBMITTED, "stage": "exif"})
        assert response.status_code == HTTPStatus.NOT_FOUND
    assert admin.get(f"/admin/photos/photo/{object_id}/change/")["Location"] == "/admin/"
    assert not StageRun.objects.exists()
