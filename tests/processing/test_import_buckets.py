"""Imports from a bucket: copied or referenced, read again, and never written to."""

import uuid
from typing import Any

import boto3
import factories
import import_samples
import photo_samples
import pytest
from import_samples import counted, run, shown, start, states, work
from pytest_django import Settings

from accounts.models import Library
from config.settings import storage as storage_settings
from photos import integrity
from photos.models import Photo, Sidecar
from photos.storage.sources import bucket as buckets
from processing.importing import taking
from processing.models import LibraryRun, StageRun
from processing.services import imports, object_sweeps, trash

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]


class Bucket:
    """A bucket as its owner sees it; everything of it lies below a prefix."""

    def __init__(self, endpoint: str) -> None:
        keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
        self.client = boto3.client("s3", endpoint_url=endpoint, **keys)
        self.name = f"source-{uuid.uuid4()}"
        self.client.create_bucket(Bucket=self.name)

    def put(self, path: str, data: bytes) -> bytes:
        self.client.put_object(Bucket=self.name, Key=f"in/{path}", Body=data)
        return data

    def delete(self, path: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=f"in/{path}")

    def objects(self) -> dict[str, tuple[str, str]]:
        listed = self.client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return {one["Key"]: (one["ETag"], str(one["LastModified"])) for one in listed}


@pytest.fixture
def bucket(s3_endpoint: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket that is a source, with a few photos in it."""
    monkeypatch.setattr(storage_settings, "AWS_S3_ENDPOINT_URL", s3_endpoint)
    monkeypatch.setattr(storage_settings, "AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setattr(storage_settings, "AWS_SECRET_ACCESS_KEY", "secret")
    made = Bucket(s3_endpoint)
    for path in ("a.jpg", "b/100%.jpg", "b/c d+ü.jpg", "b.jpg"):
        made.put(path, photo_samples.picture())
    made.put("notes.txt", b"a text")
    made.put("folder/", b"")
    made.client.put_object(Bucket=made.name, Key="elsewhere.jpg", Body=photo_samples.picture())
    import_samples.open_source(settings, f"s3://{made.name}/in")
    return made


def watch(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the paths that are read, as they are."""
    fetch, paths = buckets.SourceBucket.fetch, []

    def note(self: Any, path: str, *arguments: Any, **named: Any) -> Any:
        paths.append(path)
        return fetch(self, path, *arguments, **named)

    monkeypatch.setattr(buckets.SourceBucket, "fetch", note)
    return paths


@pytest.mark.parametrize("mode", ["copy", "reference"])
def test_a_bucket_is_imported_and_stays_as_it_is(bucket: Bucket, library: Library, mode: str) -> None:
    before = bucket.objects()
    assert [(one.name, one.kind) for one in imports.sources()] == [("camera", "bucket")]
    assert counted(run(library, mode=mode)) == {"files": 4, "added": 4, "passed_over": 1}
    assert states(library) == dict.fromkeys(("a.jpg", "b.jpg", "b/100%25.jpg", "b/c d+ü.jpg"), "added")
    photo_samples.run_everything()
    assert set(StageRun.objects.exclude(stage="place").values_list("state", flat=True)) == {"done"}
    for photo in Photo.objects.all():
        with integrity.open_original(photo) as file:
            assert len(file.read()) == photo.byte_size
    assert {photo.storage_alias for photo in Photo.objects.all()} == {
        "originals" if mode == "copy" else "source:camera"
    }
    assert trash.purge(photo_ids=list(Photo.objects.values_list("pk", flat=True)), also_present=True) == 4
    object_sweeps.sweep()
    assert bucket.objects() == before


def test_it_is_read_again(bucket: Bucket, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(library)
    fetched = watch(monkeypatch)
    assert counted(run(library)) == {"files": 4, "unchanged": 4, "passed_over": 1}
    assert fetched == []
    bucket.put("a.jpg", photo_samples.picture())
    bucket.put("new.jpg", photo_samples.picture())
    bucket.delete("b.jpg")
    again = imports.rescan(import_id=first.pk, by=factories.make_user(is_superuser=True))
    work()
    assert fetched == ["a.jpg", "new.jpg"]
    assert counted(shown(again)) == {
        "files": 4, "added": 1, "changed": 1, "missing": 1, "unchanged": 2, "passed_over": 1,
    }  # fmt: skip
    assert states(library)["b.jpg"] == "missing"


def test_a_prefix_below_is_imported_alone(bucket: Bucket, library: Library) -> None:
    assert counted(run(library, path="b")) == {"files": 2, "added": 2}
    assert counted(run(library, path="a.jpg")) == {"files": 1, "added": 1}
    with pytest.raises(imports.SourceNotAllowedError):
        start(library, path="../elsewhere.jpg")


def test_killed_it_goes_on(bucket: Bucket, library: Library) -> None:
    made = start(library)
    with pytest.MonkeyPatch.context() as patch:
        save, files = taking._Note._save_row, []

        def dying(self: Any, *arguments: Any) -> None:
            files.append(self)
            if len(files) == 3:
                raise ConnectionError("gone")
            save(self, *arguments)

        patch.setattr(taking._Note, "_save_row", dying)
        work()
    assert Photo.objects.count() == 2
    LibraryRun.objects.update(not_before=None)
    work()
    assert counted(shown(made)) == {"files": 4, "added": 4, "passed_over": 1}
    assert Photo.objects.count() == 4


def test_sidecars_are_found_without_a_request_for_each_name(
    bucket: Bucket, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("a.jpg.xmp", b"no xml")
    bucket.put("b/100%.jpg.json", b'{"imageViews": "1", "description": "of b"}')
    asked = []
    head = buckets.SourceBucket._head
    monkeypatch.setattr(buckets.SourceBucket, "_head", lambda self, path: asked.append(path) or head(self, path))
    assert counted(run(library)) == {
        "files": 4, "added": 4, "passed_over": 3, "sidecars": 1, "sidecars_refused": 1,
    }  # fmt: skip
    assert Sidecar.objects.get().values["caption"] == "of b"
    assert asked == []


def test_an_object_that_vanishes_is_said(bucket: Bucket, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = buckets.SourceBucket.fetch

    def late(self: Any, path: str, *arguments: Any, **named: Any) -> Any:
        if path == "b.jpg":
            bucket.delete("b.jpg")
        return fetch(self, path, *arguments, **named)

    monkeypatch.setattr(buckets.SourceBucket, "fetch", late)
    assert counted(run(library)) == {
        "files": 4, "added": 3, "refused": 1, "refused_vanished": 1, "passed_over": 1,
    }  # fmt: skip


def test_a_bucket_that_is_gone_costs_no_attempt(bucket: Bucket, library: Library) -> None:
    made = start(library)
    for key in bucket.objects():
        bucket.client.delete_object(Bucket=bucket.name, Key=key)
    bucket.client.delete_bucket(Bucket=bucket.name)
    work()
    waiting = library.runs.get()
    assert (waiting.state, waiting.attempt, waiting.error_code) == ("pending", 0, "storage_unavailable")
    assert shown(made).shown_state == "running"
