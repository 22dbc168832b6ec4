"""Uploads into a bucket: parts of S3's, a tail between requests, and files that a client sends there by itself.

moto, which stands in for S3, holds nobody to the policy of a presigned form. What is asserted of it is the policy
itself, decoded; that the store keeps to it is S3's promise.
"""

import base64
import json
import random
from datetime import timedelta
from typing import Any

import boto3
import factories
import pytest
import requests
import tus_requests as tus
from django.db.models.functions import Now
from django.test import Client
from django.utils.dateparse import parse_datetime
from pytest_django import Settings

from accounts.models import Library
from photos import storage
from photos.models import Photo
from photos.storage import uploads as stored_uploads
from processing.models import Upload
from processing.services.uploads import finishing, sweeping

pytestmark = pytest.mark.django_db

DIRECT = f"{tus.UPLOADS}/direct"
MIB = 1024 * 1024


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def client(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "editor"))


@pytest.fixture
def bucket(s3_storages: tuple[str, str], s3_endpoint: str) -> Any:
    """The bucket of the originals, asked past all code of ours."""
    return boto3.resource("s3", endpoint_url=s3_endpoint).Bucket(s3_storages[0])


def keys(bucket: Any) -> dict[str, int]:
    return {one.key: one.size for one in bucket.objects.all()}


def picture(byte_size: int, *, seed: int = 0) -> bytes:
    """Make a JPEG of so many bytes: behind its end a decoder reads nothing, and a header is at its start."""
    head = factories.image_bytes()
    return head + random.Random(seed).randbytes(byte_size - len(head))


def assert_taken_in(bucket: Any, data: bytes) -> Photo:
    """See that the photo is there, its original is these bytes, and nothing else is left in the bucket."""
    photo = Photo.objects.get()
    assert (photo.byte_size, keys(bucket)) == (len(data), {f"originals/{photo.storage_key}": len(data)})
    assert storage.read_object(alias="originals", key=photo.storage_key) == data
    assert list(bucket.multipart_uploads.all()) == []
    return photo


def test_a_small_file_is_never_a_multipart_upload(client: Client, library: Library, bucket: Any) -> None:
    data = factories.image_bytes()
    address = tus.create(client, library, len(data))["Location"]
    upload = Upload.objects.get()
    assert tus.patch(client, address, 0, data[:100])["Upload-Offset"] == "100"
    [(tail, size)] = keys(bucket).items()
    assert (tail.startswith(f"uploads/{upload.pk}/tail-"), size) == (True, 100)
    assert tus.patch(client, address, 100, data[100:200])["Upload-Offset"] == "200"
    [(longer, size)] = keys(bucket).items()
    assert (longer != tail, size) == (True, 200)
    assert "multipart" not in Upload.objects.get().stored

    last = tus.patch(client, address, 200, data[200:])

    assert last["Darkroom-Photo"] == str(assert_taken_in(bucket, data).pk)
    assert Upload.objects.get().stored == {}


@pytest.mark.parametrize(
    "cuts",
    [
        pytest.param([], id="in one request"),
        pytest.param([8 * MIB], id="between two parts"),
        pytest.param([1, 5 * MIB, 9 * MIB, 17 * MIB + 3], id="within parts"),
    ],
)
def test_a_large_file_is_put_together_in_the_bucket(
    client: Client, library: Library, bucket: Any, cuts: list[int]
) -> None:
    data = picture(20 * MIB + 7)
    address = tus.create(client, library, len(data))["Location"]
    offset = 0
    for cut in [*cuts, len(data)]:
        last = tus.patch(client, address, offset, data[offset:cut])
        assert (last.status_code, last["Upload-Offset"]) == (204, str(cut))
        offset = cut
    assert last["Darkroom-Photo"] == str(assert_taken_in(bucket, data).pk)


def test_between_requests_there_are_whole_parts_and_one_tail(client: Client, library: Library, bucket: Any) -> None:
    data = picture(30 * MIB)
    address = tus.create(client, library, len(data))["Location"]
    tus.patch(client, address, 0, data[: 18 * MIB])
    stored = Upload.objects.get().stored
    assert [size for _, _, size in stored["parts"]] == [8 * MIB, 8 * MIB]
    assert list(keys(bucket).values()) == [2 * MIB]
    tus.patch(client, address, 18 * MIB, data[18 * MIB : 24 * MIB])
    stored = Upload.objects.get().stored
    assert ([size for _, _, size in stored["parts"]], stored["tail"]) == ([8 * MIB] * 3, "")
    assert keys(bucket) == {}  # the tail went into the third part
    tus.patch(client, address, 24 * MIB, data[24 * MIB :])
    assert_taken_in(bucket, data)


def test_parts_of_a_wrong_checksum_are_no_parts(client: Client, library: Library, bucket: Any) -> None:
    data = picture(20 * MIB)
    address = tus.create(client, library, len(data), data=data[:100])["Location"]
    wrong = {"Upload-Checksum": tus.checksum("sha256", b"others")}
    assert tus.patch(client, address, 100, bytes(20 * MIB - 100), **wrong).status_code == 460
    assert tus.head(client, address)["Upload-Offset"] == "100"
    right = {"Upload-Checksum": tus.checksum("sha256", data[100:])}
    assert tus.patch(client, address, 100, data[100:], **right).status_code == 204
    assert_taken_in(bucket, data)


def test_an_upload_that_is_ended_leaves_nothing_in_the_bucket(client: Client, library: Library, bucket: Any) -> None:
    data = picture(10 * MIB)
    address = tus.create(client, library, 20 * MIB)["Location"]
    tus.patch(client, address, 0, data)
    assert (len(keys(bucket)), len(list(bucket.multipart_uploads.all()))) == (1, 1)
    assert tus.end(client, address).status_code == 204
    assert (keys(bucket), list(bucket.multipart_uploads.all())) == ({}, [])
    assert Upload.objects.count() == 0


def test_a_refused_file_leaves_nothing_in_the_bucket(client: Client, library: Library, bucket: Any) -> None:
    address = tus.create(client, library, 9 * MIB)["Location"]
    response = tus.patch(client, address, 0, bytes(9 * MIB))
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_format")
    assert (keys(bucket), list(bucket.multipart_uploads.all())) == ({}, [])
    assert Upload.objects.get().stored == {}


def test_bytes_that_are_lost_end_the_upload(client: Client, library: Library, bucket: Any) -> None:
    address = tus.create(client, library, 1000, data=b"x" * 100)["Location"]
    bucket.objects.all().delete()
    response = tus.patch(client, address, 100, b"x")
    assert (response.status_code, response.json()["code"]) == (410, "upload_ended")
    assert sweeping.sweep().ended == 1
    assert client.get(address).status_code == 404


# straight to the bucket


def begin(client: Client, library: Library, length: int) -> Any:
    return client.post(DIRECT, {"library": str(library.pk), "filename": "far/holiday.jpg", "length": length})


def send(made: dict[str, Any], data: bytes) -> None:
    answer = requests.post(made["url"], data=made["fields"], files={"file": data}, timeout=30)
    assert answer.status_code == 204, answer.text


def test_a_file_goes_straight_to_the_bucket(client: Client, library: Library, bucket: Any) -> None:
    data = picture(9 * MIB)
    response = begin(client, library, len(data))
    assert response.status_code == 201
    made = response.json()
    address = f"{tus.UPLOADS}/{made['id']}"
    assert response["Location"] == f"http://testserver{address}"
    early = client.post(f"{address}/complete")
    assert (early.status_code, early.json()["code"]) == (409, "upload_incomplete")
    send(made, data)

    done = client.post(f"{address}/complete")

    assert done.status_code == 200
    photo = assert_taken_in(bucket, data)
    told = done.json()
    assert (told["state"], told["way"], told["filename"]) == ("complete", "direct", "holiday.jpg")
    assert told["photo"]["id"] == str(photo.pk)
    assert done["Content-Location"] == f"http://testserver/api/v1/photos/{photo.pk}"
    assert photo.original_filename == "holiday.jpg"
    again = client.post(f"{address}/complete")
    assert (again.status_code, again.json()) == (200, told)
    assert client.get(address).json() == told


def test_the_form_is_for_one_key_one_size_and_one_hour(client: Client, library: Library, bucket: Any) -> None:
    made = begin(client, library, 12345).json()
    policy = json.loads(base64.b64decode(made["fields"]["policy"]))
    key = f"uploads/{made['id']}/posted"
    assert made["fields"]["key"] == key
    assert {"bucket": bucket.name} in policy["conditions"]
    assert {"key": key} in policy["conditions"]
    assert ["content-length-range", 12345, 12345] in policy["conditions"]
    assert not [one for one in policy["conditions"] if "starts-with" in one]
    # both count from the same moment, by two clocks of this host
    ends = parse_datetime(policy["expiration"]), parse_datetime(made["expires_at"])
    assert abs((ends[0] - ends[1]).total_seconds()) < 5
    assert abs((ends[1] - Upload.objects.get().created_at).total_seconds() - 3600) < 1
    assert {"x-amz-signature", "x-amz-credential", "x-amz-date", "x-amz-algorithm"} <= made["fields"].keys()


def test_what_is_in_the_bucket_counts_and_not_what_was_said(
    client: Client, library: Library, bucket: Any, settings: Settings
) -> None:
    """A store that does not hold the client to the policy, as moto does not."""
    data = factories.image_bytes()
    made = begin(client, library, 10).json()
    send(made, data)
    done = client.post(f"{tus.UPLOADS}/{made['id']}/complete").json()
    assert (done["length"], done["photo"]["byte_size"]) == (len(data), len(data))
    settings.UPLOAD_MAX_BYTES = 1000
    large = begin(client, library, 10).json()
    send(large, bytes(1001))
    refused = client.post(f"{tus.UPLOADS}/{large['id']}/complete")
    assert (refused.status_code, refused.json()["code"]) == (413, "too_large")
    Library.objects.filter(pk=library.pk).update(quota_bytes=len(data) + 20)
    settings.UPLOAD_MAX_BYTES = 10_000
    beyond = begin(client, library, 20).json()
    send(beyond, factories.image_bytes())
    refused = client.post(f"{tus.UPLOADS}/{beyond['id']}/complete")
    assert (refused.status_code, refused.json()["code"]) == (413, "quota_exceeded")
    assert Photo.objects.count() == 1
    assert len(keys(bucket)) == 1


def test_what_is_no_picture_is_refused_and_deleted(client: Client, library: Library, bucket: Any) -> None:
    made = begin(client, library, 8).json()
    send(made, b"%PDF-1.7")
    address = f"{tus.UPLOADS}/{made['id']}"
    for response in (client.post(f"{address}/complete"), client.post(f"{address}/complete")):
        assert (response.status_code, response.json()["code"]) == (415, "unsupported_format")
    assert client.get(address).json()["error"]["code"] == "unsupported_format"
    assert keys(bucket) == {}


def test_the_same_bytes_sent_by_two_ways_are_one_photo(client: Client, library: Library, bucket: Any) -> None:
    data = factories.image_bytes()
    first = tus.create(client, library, len(data), data=data)
    made = begin(client, library, len(data)).json()
    send(made, data)
    done = client.post(f"{tus.UPLOADS}/{made['id']}/complete").json()
    assert done["photo"]["id"] == first["Darkroom-Photo"]
    assert_taken_in(bucket, data)


def test_what_is_sent_while_it_is_taken_in_changes_nothing(
    client: Client, library: Library, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = factories.image_bytes()
    made = begin(client, library, len(data)).json()
    send(made, data)
    open_sealed = stored_uploads.BucketParts.open

    def replaced(self: stored_uploads.BucketParts) -> Any:
        send(made, b"%PDF-1.7 something else")
        return open_sealed(self)

    monkeypatch.setattr(stored_uploads.BucketParts, "open", replaced)
    assert client.post(f"{tus.UPLOADS}/{made['id']}/complete").status_code == 200
    assert_taken_in(bucket, data)


def test_what_was_taken_over_is_finished_by_the_sweep(
    client: Client, library: Library, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server died after it had been asked to complete the upload."""
    data = factories.image_bytes()
    made = begin(client, library, len(data)).json()
    send(made, data)
    assert sweeping.sweep() == sweeping.Swept()  # nobody has said that it is all there

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(finishing, "_take_in", die)
        with pytest.raises(KeyboardInterrupt):
            client.post(f"{tus.UPLOADS}/{made['id']}/complete")
    assert Upload.objects.get().offset == len(data)
    assert sweeping.sweep() == sweeping.Swept(finished=1)
    assert_taken_in(bucket, data)


def test_what_is_sent_after_the_end_is_swept(client: Client, library: Library, bucket: Any) -> None:
    data = factories.image_bytes()
    made = begin(client, library, len(data)).json()
    send(made, data)
    client.post(f"{tus.UPLOADS}/{made['id']}/complete")
    other = begin(client, library, len(data)).json()
    assert tus.end(client, f"{tus.UPLOADS}/{other['id']}").status_code == 204
    for one in (made, other):
        send(one, data)
    waiting = begin(client, library, len(data)).json()
    send(waiting, data)
    assert sweeping.sweep_unnamed() == 2
    photo = Photo.objects.get()
    assert keys(bucket).keys() == {f"originals/{photo.storage_key}", f"uploads/{waiting['id']}/posted"}


def test_abandoned_ones_are_swept(client: Client, library: Library, bucket: Any) -> None:
    made = begin(client, library, 100).json()
    send(made, bytes(100))
    begin(client, library, 100)
    assert sweeping.sweep().ended == 0
    Upload.objects.update(expires_at=Now() - timedelta(seconds=1))
    assert sweeping.sweep().ended == 2
    assert (keys(bucket), Upload.objects.count()) == ({}, 0)


def test_the_protocol_does_not_go_on_with_such_a_file(client: Client, library: Library, bucket: Any) -> None:
    address = f"{tus.UPLOADS}/{begin(client, library, 100).json()['id']}"
    assert tus.head(client, address).status_code == 404
    assert tus.patch(client, address, 0, b"x").status_code == 404
    assert Upload.objects.get().offset == 0
    resumable = tus.create(client, library, 100, data=b"x")["Location"]
    early = client.post(f"{resumable}/complete")
    assert (early.status_code, early.json()["code"], early.json()["offset"]) == (409, "upload_incomplete", 1)


def test_on_a_disk_there_is_no_bucket(client: Client, library: Library, photo_store: object) -> None:
    response = begin(client, library, 100)
    assert (response.status_code, response.json()["code"]) == (409, "direct_upload_not_possible")
    assert Upload.objects.count() == 0
