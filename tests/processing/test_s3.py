"""The whole way of a photo on an S3 endpoint, with the settings that STORAGE_TYPE=s3 makes."""

import hashlib
import os
from collections.abc import Iterator

import boto3
import photo_samples
import pytest
from botocore.exceptions import ClientError
from django.core.files.storage import storages
from PIL import Image

from accounts.models import Library
from photos import storage
from photos.models import Face, Metadata, Photo, Rendition
from processing.models import StageRun
from processing.services import reprocess

pytestmark = pytest.mark.django_db(transaction=True)

STAGES = ("exif", "place", "renditions", "face_detection", "face_embedding")


class Requests:
    """What was sent to a bucket: operation and range, in order."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []

    def note(self, request: object, event_name: str, **_: object) -> None:
        self.sent.append((event_name.rsplit(".", 1)[-1], request.headers.get("Range", b"").decode()))

    def take(self) -> list[tuple[str, str]]:
        sent, self.sent = self.sent, []
        return sent


@pytest.fixture
def originals(s3_storages: tuple[str, str]) -> Requests:
    """What is sent to the bucket of originals."""
    return watch("originals")


@pytest.fixture
def renditions(s3_storages: tuple[str, str]) -> Requests:
    """What is sent to the bucket of renditions."""
    return watch("renditions")


def watch(alias: str) -> Requests:
    requests = Requests()
    storages[alias].connection.meta.client.meta.events.register("before-send.s3", requests.note)
    return requests


@pytest.fixture
def bucket(s3_endpoint: str, s3_storages: tuple[str, str]) -> Iterator[object]:
    """Both buckets as somebody else sees them: call it with a number for {key: bytes}."""
    client = boto3.client("s3", endpoint_url=s3_endpoint)

    def listing(number: int) -> dict[str, bytes]:
        name = s3_storages[number]
        keys = [one["Key"] for one in client.list_objects_v2(Bucket=name).get("Contents", [])]
        return {key: client.get_object(Bucket=name, Key=key)["Body"].read() for key in keys}

    return listing


def large_photo() -> bytes:
    """A portrait with a camera's tags, larger than what is read ahead."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Darkroom", "Sample"
    data = photo_samples.portrait(exif=exif)
    # bytes behind the picture, as motion photos have them
    return data + os.urandom(1_000_000)


def test_every_stage_works_on_buckets(
    face_library: Library, originals: Requests, renditions: Requests, bucket: object
) -> None:
    data = large_photo()
    photo = photo_samples.take_in(face_library, data)
    key = f"{face_library.pk}/{photo.pk}"
    assert bucket(0) == {f"originals/{key}": data}
    assert bucket(1) == {}
    assert [operation for operation, _ in originals.take()] == ["PutObject"]

    photo_samples.run("exif")
    # once and whole: the head alone could not be checked against the hash
    assert originals.take() == [("GetObject", "")]
    assert (Metadata.objects.get().camera_make, Metadata.objects.get().camera_model) == ("Darkroom", "Sample")

    photo_samples.run("renditions")
    assert originals.take() == [("GetObject", "")]
    assert renditions.take() == [("PutObject", "")] * 4

    photo_samples.run("face_detection")
    photo_samples.run("face_embedding")
    photo_samples.run_people()
    # neither opens an original: the preview, a chip
    assert originals.take() == []
    assert renditions.take() == [("GetObject", ""), ("PutObject", ""), ("GetObject", "")]

    assert photo_samples.states(photo) == {**dict.fromkeys(STAGES, "done"), "place": "skipped"}
    stored = bucket(1)
    rows = {row.storage_key: row for row in Rendition.objects.all()}
    face = Face.objects.get()
    assert set(stored) == {f"renditions/{name}" for name in (*rows, face.chip_key)}
    assert {row.kind for row in rows.values()} == {"preview", "thumb_1200", "thumb_600", "thumb_300"}
    for name, row in rows.items():
        assert name == f"{key}/{row.kind}.{row.version}.jpg"
        given = stored[f"renditions/{name}"]
        assert (len(given), hashlib.sha256(given).hexdigest()) == (row.byte_size, row.sha256)
    assert face.chip_key.startswith(f"{key}/face.{face.version}.")
    assert face.embeddings.count() == 1
    assert bucket(0) == {f"originals/{key}": data}


def test_running_again_writes_the_same_objects(face_library: Library, bucket: object, s3_storages: object) -> None:
    photo_samples.take_through(face_library, photo_samples.portrait())
    rows, stored = photo_samples.written_rows(), bucket(1)
    assert len(stored) == 5
    for stage in STAGES:
        assert reprocess.run_again(photos=Photo.objects.all(), stage=stage) == (0 if stage == "place" else 1)
    photo_samples.run_everything()
    assert (photo_samples.written_rows(), bucket(1)) == (rows, stored)


def test_the_same_bytes_again_are_not_sent_again(library: Library, originals: Requests, bucket: object) -> None:
    data = photo_samples.picture()
    photo = photo_samples.take_in(library, data)
    originals.take()
    assert photo_samples.take_in(library, data) == photo
    # only asked whether they are still there
    assert originals.take() == [("HeadObject", "")]
    assert len(bucket(0)) == 1


def test_a_bucket_that_is_not_there_burns_no_attempt(
    library: Library, s3_endpoint: str, s3_storages: tuple[str, str], bucket: object
) -> None:
    photo = photo_samples.take_in(library, photo_samples.picture())
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    client.delete_object(Bucket=s3_storages[0], Key=next(iter(bucket(0))))
    photo_samples.run("exif")
    run = photo_samples.run_of(photo, "exif")
    assert (run.attempt, run.error_code) == (1, "object_missing")

    client.delete_bucket(Bucket=s3_storages[0])
    with pytest.raises(ClientError):
        storage.read_object(alias="originals", key=photo.storage_key)
    StageRun.objects.update(not_before=None, attempt=0)
    photo_samples.run("exif")
    run.refresh_from_db()
    assert (run.state, run.attempt, run.error_code) == ("pending", 0, "storage_unavailable")
