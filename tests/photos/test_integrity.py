"""Reads that check the hash: right bytes come through, wrong ones never do."""

import hashlib
import io
from pathlib import Path

import boto3
import factories
import pytest
from django.core.files.storage import storages

from photos import integrity, storage
from photos.integrity import WrongBytesError
from photos.models import Photo
from processing.failures import Fault, classify

ORIGINAL = bytes(range(256)) * 5000


@pytest.fixture
def photo(db: None, photo_store: Path) -> Photo:
    return factories.make_photo(factories.make_library(), data=ORIGINAL)


def _path(photo: Photo) -> Path:
    return Path(storages[photo.storage_alias].path(photo.storage_key))


def test_right_bytes_are_given_from_their_start(photo: Photo) -> None:
    with integrity.open_original(photo) as file:
        assert file.tell() == 0
        assert file.read() == ORIGINAL


@pytest.mark.parametrize(
    "wrong", [ORIGINAL[:-1], ORIGINAL + b"x", b"\x01" + ORIGINAL[1:]], ids=["short", "long", "bit"]
)
def test_an_original_that_lies_wrong_is_not_used_and_costs_the_attempt(photo: Photo, wrong: bytes) -> None:
    _path(photo).write_bytes(wrong)
    with pytest.raises(WrongBytesError, match="lies wrong in the store 'originals'") as caught:
        integrity.open_original(photo)
    assert caught.value.at_rest
    failure = classify(caught.value)
    assert (failure.fault, failure.code) == (Fault.ATTEMPT, "wrong_bytes")


def test_bytes_that_come_wrong_in_two_ways_are_the_stores_trouble(
    photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([b"first nonsense", b"second nonsense"])
    monkeypatch.setattr(storage, "open_whole_object", lambda **_: io.BytesIO(next(answers)))
    with pytest.raises(WrongBytesError, match="came wrong from the store 'originals'") as caught:
        integrity.open_original(photo)
    failure = classify(caught.value)
    assert (failure.fault, failure.code) == (Fault.INFRASTRUCTURE, "wrong_bytes")


def test_bytes_that_come_wrong_once_are_asked_for_again(photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([b"nonsense", ORIGINAL])
    monkeypatch.setattr(storage, "open_whole_object", lambda **_: io.BytesIO(next(answers)))
    with integrity.open_original(photo) as file:
        assert file.read() == ORIGINAL


def test_derived_bytes_are_checked_and_a_row_without_a_hash_is_not(photo: Photo) -> None:
    rendition = factories.make_rendition(photo, "preview", data=b"the preview")
    key, sha256 = rendition.storage_key, hashlib.sha256(b"the preview").hexdigest()
    assert integrity.read_derived(key=key, sha256=sha256) == b"the preview"
    Path(storages["renditions"].path(key)).write_bytes(b"another one")
    assert integrity.read_derived(key=key, sha256="") == b"another one"
    with pytest.raises(WrongBytesError, match="lies wrong in the store 'renditions'"):
        integrity.read_derived(key=key, sha256=sha256)


def test_an_original_in_a_bucket_is_fetched_whole_and_checked(
    db: None, s3_storages: tuple[str, str], s3_endpoint: str
) -> None:
    photo = factories.make_photo(factories.make_library(), data=ORIGINAL)
    with integrity.open_original(photo) as file:
        assert file.read() == ORIGINAL
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    client.put_object(Bucket=s3_storages[0], Key=f"originals/{photo.storage_key}", Body=b"another one")
    with pytest.raises(WrongBytesError, match="lies wrong"):
        integrity.open_original(photo)
    client.delete_object(Bucket=s3_storages[0], Key=f"originals/{photo.storage_key}")
    with pytest.raises(FileNotFoundError, match="is not in the bucket"):
        integrity.open_original(photo)
