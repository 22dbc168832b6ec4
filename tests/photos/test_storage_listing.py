"""What lies in a store, on a disk and in a bucket alike."""

import itertools
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from pytest_django import Settings

from photos import storage

OBJECTS = {
    "a/1": b"1",
    "a/2/x.jpg": b"22",
    "a/2/y.jpg": b"333",
    "a/22/x.jpg": b"4444",
    "a/2x.jpg": b"55555",
    "b/.hidden": b"",
    "b/.incoming": b"not the folder",
    "top": b"666666",
}


@pytest.fixture(params=["disk", "bucket"])
def filled(request: pytest.FixtureRequest) -> None:
    """Originals in a store of either kind, and one rendition that is none of them."""
    request.getfixturevalue("photo_store" if request.param == "disk" else "s3_storages")
    for key, data in OBJECTS.items():
        storage.write_object(alias="originals", key=key, file=ContentFile(data))
    storage.write_object(alias="renditions", key="a/2/z.jpg", file=ContentFile(b"elsewhere"))


def listed(prefix: str = "") -> dict[str, int]:
    found = list(storage.list_objects(alias="originals", prefix=prefix))
    assert len({one.key for one in found}) == len(found)
    return {one.key: one.size for one in found}


@pytest.mark.usefixtures("filled")
def test_what_begins_with_a_prefix_is_listed() -> None:
    for prefix in ("", "a/", "a/2", "a/2/", "a/2/x", "a/2/x.jpg", "b/.", "t", "nowhere", "a/1/"):
        assert listed(prefix) == {key: len(data) for key, data in OBJECTS.items() if key.startswith(prefix)}, prefix


@pytest.mark.usefixtures("filled")
def test_each_says_when_it_was_stored() -> None:
    [found] = storage.list_objects(alias="originals", prefix="top")
    assert found.modified_at.tzinfo is not None
    assert abs(datetime.now(tz=UTC) - found.modified_at) < timedelta(minutes=1)


@pytest.mark.usefixtures("filled")
def test_one_object_is_found_by_its_key_alone() -> None:
    for key in ("", "a", "a/", "a/2", "a/2/", "a/2/x", "nowhere", "a/1/", "a/1/x", *OBJECTS):
        # a key never ends in a slash
        expected = {one for one in storage.list_objects(alias="originals", prefix=key) if one.key == key}
        found = storage.find_object(alias="originals", key=key) if key.strip("/") == key and key else None
        assert (found is not None) == (key in OBJECTS), key
        assert {found} - {None} == expected


def test_a_store_that_is_new_has_nothing(photo_store: Path) -> None:
    assert listed() == {}
    assert listed("a/") == {}
    assert not photo_store.exists()


def test_a_listing_is_not_held_in_memory(photo_store: Path) -> None:
    folder = photo_store / "originals" / "a"
    folder.mkdir(parents=True)
    for number in range(2000):
        (folder / str(number)).touch()
    listing = storage.list_objects(alias="originals")
    assert len(list(itertools.islice(listing, 5))) == 5
    # what goes while it is listed is passed over
    for path in folder.iterdir():
        path.unlink()
    assert len(list(listing)) < 1995


def test_pages_of_a_bucket_follow_each_other(s3_storages: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    client = storages["originals"].connection.meta.client
    asked: list[dict[str, object]] = []

    def small(params: dict[str, object], **_: object) -> None:
        params["MaxKeys"] = 3
        asked.append(params)

    for number in range(8):
        storage.write_object(alias="originals", key=f"a/{number}", file=ContentFile(b"x"))
    client.meta.events.register("before-parameter-build.s3.ListObjectsV2", small)
    assert listed() == {f"a/{number}": 1 for number in range(8)}
    assert len(asked) == 3


def test_a_bucket_that_is_gone_is_an_error(s3_storages: tuple[str, str], settings: Settings) -> None:
    options = settings.STORAGES["originals"]["OPTIONS"] | {"bucket_name": "nowhere"}
    settings.STORAGES = settings.STORAGES | {"originals": settings.STORAGES["originals"] | {"OPTIONS": options}}
    with pytest.raises(ClientError, match="NoSuchBucket"):
        list(storage.list_objects(alias="originals"))
    with pytest.raises(ClientError, match="404"):
        storage.find_object(alias="originals", key="a/1")
    assert not storage.is_store_empty(alias="originals")


def test_uploads_to_a_bucket_that_were_cut_off_are_ended(s3_storages: tuple[str, str]) -> None:
    originals, renditions = s3_storages
    client = storages["originals"].connection.meta.client
    for bucket, key in ((originals, "originals/a/b"), (originals, "elsewhere/a"), (renditions, "renditions/a/c")):
        client.create_multipart_upload(Bucket=bucket, Key=key)
    # this server says of every upload that it began in 2010
    assert storage.sweep_incoming(older_than=timedelta(days=100 * 365)) == 0
    assert storage.sweep_incoming(older_than=timedelta(days=1)) == 2
    left = client.list_multipart_uploads(Bucket=originals)["Uploads"]
    assert [upload["Key"] for upload in left] == ["elsewhere/a"]
    assert storage.sweep_incoming(older_than=timedelta(days=1)) == 0


def test_a_key_leads_back_to_its_photo_or_is_refused() -> None:
    library, photo = uuid.uuid4(), uuid.uuid4()
    assert storage.photo_of_prefix(storage.derived_prefix(library_id=library, photo_id=photo)) == photo
    for wrong in ("", "/", f"{library}/{photo}", f"{library}/{photo}/x/", f"{library}/{photo.hex}/", f"{library}//"):
        with pytest.raises(ValueError):  # noqa: PT011 - of several functions, each with its own words
            storage.photo_of_prefix(wrong)
