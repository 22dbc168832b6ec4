"""Uploads that nobody goes on with: finished or given up by the sweep, erased with their owners, counted by a proof."""

import logging
import os
import time
from datetime import timedelta
from pathlib import Path

import boto3
import factories
import photo_samples
import proving
import pytest
from django.core.files.storage import storages
from django.db.models.functions import Now
from pytest_django import Settings

from accounts.models import ErasureReceipt, Library, Membership, User
from accounts.problems import NotFoundError
from accounts.services import erasure
from photos import storage
from photos.models import Photo
from photos.storage import uploads as stored_uploads
from photos.storage.uploads import DiskParts, Part
from processing import tasks
from processing.models import Sweep, Upload, UploadState
from processing.problems import UploadEndedError
from processing.services import forgetting
from processing.services.uploads import beginning, ending, finishing, leases, receiving, sweeping

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture(params=["disk", "s3"])
def store(request: pytest.FixtureRequest) -> str:
    """The originals on a disk or in a bucket."""
    request.getfixturevalue("photo_store" if request.param == "disk" else "s3_storages")
    return request.param


@pytest.fixture
def owner(library: Library) -> User:
    return factories.make_member(library, "editor")


def upload_of(library: Library, owner: User, data: bytes, *, sent: int) -> Upload:
    """Begin an upload, and send so many bytes of it."""
    upload = beginning.begin(library=library, owner=owner, filename="a.jpg", length=len(data))
    if sent:
        receiving.receive(upload_id=upload.pk, offset=0, body=[data[:sent]])
    return Upload.objects.get(pk=upload.pk)


def strand(library: Library, owner: User, monkeypatch: pytest.MonkeyPatch, data: bytes) -> Upload:
    """Send all of a file to a server that dies before it takes it in."""

    class Killed(BaseException):
        pass

    def die(*_args: object) -> None:
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(finishing, "finish_held", die)
        dying.setattr(leases, "release", lambda _: None)
        with pytest.raises(Killed):
            upload_of(library, owner, data, sent=len(data))
    Upload.objects.update(lease_until=Now())
    return Upload.objects.get()


def left() -> list[str]:
    return sorted(part.key for part in stored_uploads.list_parts())


def test_what_has_expired_goes_and_what_lives_stays(store: str, library: Library, owner: User) -> None:
    late, alive, busy = (upload_of(library, owner, bytes(100), sent=50) for _ in range(3))
    past = Now() - timedelta(seconds=1)
    leases.take(upload_id=busy.pk)
    Upload.objects.filter(pk__in=[late.pk, busy.pk]).update(expires_at=past)

    assert sweeping.sweep() == sweeping.Swept(ended=1)

    assert set(Upload.objects.all()) == {alive, busy}
    assert {key.split("/")[0] for key in left()} == {str(alive.pk), str(busy.pk)}
    Upload.objects.filter(pk=busy.pk).update(lease_until=past)
    assert sweeping.sweep() == sweeping.Swept(ended=1)
    assert sweeping.sweep() == sweeping.Swept()


def test_what_has_all_its_bytes_is_finished(
    store: str, library: Library, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = photo_samples.picture()
    upload = strand(library, owner, monkeypatch, data)
    assert (upload.offset, upload.state, Photo.objects.count()) == (len(data), UploadState.OPEN, 0)

    assert sweeping.sweep() == sweeping.Swept(finished=1)

    photo = Photo.objects.get()
    assert storage.read_object(alias="originals", key=photo.storage_key) == data
    upload.refresh_from_db()
    assert (upload.state, upload.photo, upload.stored, photo.uploader) == (UploadState.COMPLETE, photo, {}, owner)
    assert left() == []
    assert sweeping.sweep() == sweeping.Swept()


def test_what_is_refused_is_remembered_by_the_sweep_too(
    store: str, library: Library, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = strand(library, owner, monkeypatch, b"no picture")
    assert sweeping.sweep() == sweeping.Swept()
    upload.refresh_from_db()
    assert (upload.state, upload.error_code) == (UploadState.REFUSED, "unsupported_format")
    assert left() == []


def test_nothing_is_taken_in_for_somebody_who_may_not_upload_any_more(
    store: str, library: Library, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    strand(library, owner, monkeypatch, photo_samples.picture())
    Membership.objects.filter(user=owner).delete()
    assert sweeping.sweep() == sweeping.Swept()
    assert Photo.objects.count() == 0
    Upload.objects.update(expires_at=Now())
    assert sweeping.sweep() == sweeping.Swept(ended=1)
    assert left() == []


def test_trouble_of_the_store_leaves_it_for_another_time(
    photo_store: Path,
    library: Library,
    owner: User,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    strand(library, owner, monkeypatch, photo_samples.picture())
    over = upload_of(library, owner, bytes(100), sent=50)
    ending.give_up(upload_id=over.pk)

    def fail(*_args: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken, caplog.at_level(logging.ERROR):
        broken.setattr(DiskParts, "join", fail)
        broken.setattr(DiskParts, "clear", fail)
        assert sweeping.sweep() == sweeping.Swept()
    assert [record.message.rsplit(" (", 1)[1] for record in caplog.records] == ["storage_unavailable)"] * 2
    assert len(left()) == 2
    assert sweeping.sweep() == sweeping.Swept(finished=1, ended=1)
    assert left() == []


def test_what_became_of_an_upload_is_forgotten_in_time(store: str, library: Library, owner: User) -> None:
    data = photo_samples.picture()
    done = upload_of(library, owner, data, sent=len(data))
    assert sweeping.sweep() == sweeping.Swept()
    Upload.objects.filter(pk=done.pk).update(expires_at=Now())
    assert sweeping.sweep() == sweeping.Swept(forgotten=1)
    assert Photo.objects.count() == 1


def test_an_upload_goes_with_the_photo_that_it_has_become(store: str, library: Library, owner: User) -> None:
    data = photo_samples.picture()
    upload_of(library, owner, data, sent=len(data))
    Photo.objects.get().stage_runs.all().delete()
    Photo.objects.all().delete()
    assert Upload.objects.count() == 0


def test_bytes_of_no_upload_go_and_others_stay(store: str, library: Library, owner: User) -> None:
    alive = upload_of(library, owner, bytes(100), sent=50)
    gone = upload_of(library, owner, bytes(100), sent=50)
    Upload.objects.filter(pk=gone.pk).delete()
    foreign = put_foreign(store)
    before = left()
    assert len(before) == 3

    assert sweeping.sweep_unnamed() == 1

    assert set(before) - set(left()) == {one for one in before if one.startswith(str(gone.pk))}
    assert foreign in left()
    assert any(one.startswith(str(alive.pk)) for one in left())


def put_foreign(store: str) -> str:
    """Put something there that is none of ours."""
    if store == "disk":
        path = Path(storages["originals"].path(".uploads")) / "notes.txt"
        path.write_bytes(b"mine")
    else:
        bucket = storages["originals"].bucket
        bucket.put_object(Key="uploads/notes.txt", Body=b"mine")
    return "notes.txt"


def test_what_an_open_upload_does_not_name_may_be_about_to_be(photo_store: Path, library: Library, owner: User) -> None:
    upload = upload_of(library, owner, bytes(100), sent=50)
    stale = photo_store / "originals" / ".uploads" / str(upload.pk) / "stale"
    stale.write_bytes(b"of a writer that died")
    assert sweeping.sweep_unnamed() == 0
    then = time.time() - 25 * 3600
    os.utime(stale, (then, then))
    assert sweeping.sweep_unnamed() == 1
    assert not stale.exists()
    receiving.receive(upload_id=upload.pk, offset=50, body=[bytes(10)])


@pytest.mark.parametrize("task", ["sweep_uploads", "sweep_incoming"])
def test_beat_has_it_done(photo_store: Path, library: Library, owner: User, task: str) -> None:
    late = upload_of(library, owner, bytes(100), sent=50)
    gone = upload_of(library, owner, bytes(100), sent=50)
    Upload.objects.filter(pk=gone.pk).delete()
    Upload.objects.filter(pk=late.pk).update(expires_at=Now())
    getattr(tasks, task).apply().get()
    expected = gone if task == "sweep_uploads" else late
    assert [key.split("/")[0] for key in left()] == [str(expected.pk)]
    assert Sweep.objects.get().name == task


# erasure


def test_uploads_go_with_their_library(store: str, library: Library, owner: User) -> None:
    data = photo_samples.picture()
    upload_of(library, owner, data, sent=len(data))
    half = upload_of(library, owner, bytes(100), sent=50)
    other = factories.make_library()
    kept = upload_of(other, factories.make_member(other, "editor"), bytes(100), sent=50)

    asked = forgetting.forget_library(library=library, by=None)
    with pytest.raises(UploadEndedError):
        receiving.receive(upload_id=half.pk, offset=50, body=[bytes(10)])
    while photo_samples.run_library_work("forget"):
        pass

    asked.refresh_from_db()
    assert (asked.counts["uploads"], asked.counts["photos"]) == (2, 1)
    assert set(Upload.objects.all()) == {kept}
    assert {key.split("/")[0] for key in left()} == {str(kept.pk)}


def test_an_upload_that_is_begun_while_its_library_goes_is_refused(library: Library, owner: User) -> None:
    Library.objects.filter(pk=library.pk).update(erasure_requested_at=Now())
    with pytest.raises(NotFoundError):
        beginning.begin(library=library, owner=owner, filename="a.jpg", length=10)
    assert Upload.objects.count() == 0


def test_uploads_go_with_their_account(store: str, library: Library, owner: User) -> None:
    half = upload_of(library, owner, bytes(100), sent=50)
    receipt = erasure.forget_user(user=owner, by=None)
    assert receipt.counts["uploads"] == 1
    with pytest.raises(UploadEndedError):
        receiving.receive(upload_id=half.pk, offset=50, body=[bytes(10)])
    assert sweeping.sweep() == sweeping.Swept(ended=1)
    assert (Upload.objects.count(), left(), ErasureReceipt.objects.count()) == (0, [], 1)


# a proof


def age(part: Part, *, hours: float) -> None:
    """Make a file on a disk older."""
    path = Path(storages["originals"].path(".uploads")) / part.key
    then = time.time() - hours * 3600
    os.utime(path, (then, then))


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("quick_ripening")
def test_a_proof_counts_what_nobody_swept(photo_store: Path, library: Library, owner: User) -> None:
    alive, late, gone, young = (upload_of(library, owner, bytes(100), sent=50) for _ in range(4))
    assert proving.prove().counts == proving.NOTHING
    Upload.objects.filter(pk__in=[gone.pk, young.pk]).delete()
    for part in stored_uploads.list_parts():
        if part.upload_id in {gone.pk, alive.pk}:
            age(part, hours=2)
    Upload.objects.filter(pk=late.pk).update(expires_at=Now() - HOUR)
    [bytes_of_gone] = [f"uploads/{key}" for key in left() if key.startswith(str(gone.pk))]

    said = proving.prove("--repair", "--yes")

    assert said.counts == {**proving.NOTHING, "leaked": 2}
    assert said.offences == {("upload_left", bytes_of_gone), ("upload_left", str(late.pk))}
    assert said.body["repair"] == {"plan": ["leave 2 objects younger than 168 h"], "done": None}
    repaired = proving.prove("--repair", "--yes", "--grace", "1h")
    assert repaired.body["repair"] == {
        "plan": ["delete 2 remainders of uploads, older than 1 h"],
        "done": ["2 remainders of uploads cleared away"],
    }
    assert {key.split("/")[0] for key in left()} == {str(alive.pk), str(young.pk)}
    assert proving.prove().counts == proving.NOTHING


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("quick_ripening")
def test_a_proof_counts_what_nobody_takes_in(
    photo_store: Path, library: Library, owner: User, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    upload = strand(library, owner, monkeypatch, photo_samples.picture())
    assert proving.prove().counts == proving.NOTHING
    life = timedelta(seconds=settings.UPLOAD_EXPIRES_SECONDS)
    Upload.objects.update(expires_at=Now() + life - HOUR)
    said = proving.prove()
    assert said.counts == {**proving.NOTHING, "stuck": 1}
    assert said.offences == {("upload_stranded", str(upload.pk))}
    sweeping.sweep()
    Photo.objects.get().stage_runs.all().delete()
    wipe = proving.prove("--no-bytes").counts
    assert (wipe["stuck"], wipe["leaked"]) == (0, 0)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("quick_ripening")
def test_in_a_bucket_a_multipart_upload_of_nobody_is_counted(
    s3_storages: tuple[str, str], s3_endpoint: str, library: Library, owner: User
) -> None:
    """The endpoint says of every multipart upload that it began years ago."""
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    alive = upload_of(library, owner, bytes(10 * 1024 * 1024), sent=9 * 1024 * 1024)
    assert (len(left()), proving.prove().counts) == (2, proving.NOTHING)
    gone = f"{'0' * 8}-0000-7000-8000-{'0' * 12}"
    client.create_multipart_upload(Bucket=s3_storages[0], Key=f"uploads/{gone}/whole")
    said = proving.prove("--repair", "--yes", "--grace", "1h")
    assert said.offences == {("upload_left", f"uploads/{gone}/whole")}
    assert said.body["repair"]["done"] == ["1 remainder of uploads cleared away"]
    assert {key.split("/")[0] for key in left()} == {str(alive.pk)}
