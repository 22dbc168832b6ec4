"""Sources of imports: what a walk gives, what is never opened, and that nothing is ever written."""

import hashlib
import io
import os
import tracemalloc
import uuid
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from pytest_django import Settings

from config.settings.storage import import_sources, source_storages
from photos import storage
from photos.checks import check_import_sources
from photos.storage import FoundFile, Source, SourceFolder, SourceUnavailableError, UnsafePathError
from photos.storage.sources import folder as folders
from photos.storage.sources.base import MAX_PATH_BYTES

TREE = {
    "a-b.jpg": b"1",
    "a/1.jpg": b"22",
    "a/b/2.jpg": b"333",
    "a/b/3.jpg": b"4444",
    "a/c.jpg": b"55555",
    "a.jpg": b"666666",
    "b/%41.jpg": b"7777777",
    "z.txt": b"",
    ".hidden/x.jpg": b"hidden",
    "a/.hidden.jpg": b"hidden",
}
VISIBLE = {name.replace("%", "%25"): data for name, data in TREE.items() if ".hidden" not in name}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the tree in it."""
    for name, data in TREE.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "tree"


@pytest.fixture
def folder(root: Path) -> SourceFolder:
    """That folder as a source."""
    return SourceFolder(location=str(root))


@pytest.fixture(params=["folder", "bucket"])
def source(request: pytest.FixtureRequest, settings: Settings) -> Source:
    """The tree as a source of either kind."""
    if request.param == "folder":
        place = str(request.getfixturevalue("root"))
    else:
        bucket = request.getfixturevalue("make_bucket")({f"in/{name}": data for name, data in TREE.items()})
        place = f"s3://{bucket}/in"
    settings.STORAGES = {**settings.STORAGES, **source_storages({"tree": place})}
    return storage.source("tree")


@pytest.fixture
def make_bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, bytes]], str]:
    """Make a bucket of these objects; gives its name."""
    from config.settings import storage as storage_settings

    monkeypatch.setattr(storage_settings, "AWS_S3_ENDPOINT_URL", s3_endpoint)
    monkeypatch.setattr(storage_settings, "AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setattr(storage_settings, "AWS_SECRET_ACCESS_KEY", "secret")
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=s3_endpoint, **keys)

    def make(objects: dict[str, bytes]) -> str:
        name = f"source-{uuid.uuid4()}"
        client.create_bucket(Bucket=name)
        for key, data in objects.items():
            client.put_object(Bucket=name, Key=key, Body=data)
        return name

    return make


def paths(found: object) -> list[str]:
    return [one.path for one in found]


def fetched(source: Source, path: str, *, limit: int = 1000) -> bytes:
    into = io.BytesIO()
    told = source.fetch(path, into, limit=limit)
    assert told.sha256 == hashlib.sha256(into.getvalue()).hexdigest()
    assert told.size == len(into.getvalue())
    return into.getvalue()


def test_everything_is_found_once_with_its_size(source: Source) -> None:
    found = list(source.walk())
    assert len(found) == len(VISIBLE)
    assert {one.path: one.size for one in found} == {name: len(data) for name, data in VISIBLE.items()}
    assert all(one.stamp and not one.problem for one in found)
    assert {one.path: fetched(source, one.path) for one in found} == VISIBLE


def test_a_walk_goes_on_behind_any_path(source: Source) -> None:
    whole = paths(source.walk())
    for number, path in enumerate(whole, 1):
        assert paths(source.walk(after=path)) == whole[number:], path
    below = paths(source.walk("a"))
    assert below == [path for path in whole if path.startswith("a/")]
    for number, path in enumerate(below, 1):
        assert paths(source.walk("a", after=path)) == below[number:], path


def test_what_a_walk_stood_at_may_be_gone(folder: SourceFolder, root: Path) -> None:
    rest = ["a/c.jpg", "a-b.jpg", "a.jpg", "b/%2541.jpg", "z.txt"]
    (root / "a/b/2.jpg").unlink()
    assert paths(folder.walk(after="a/b/2.jpg")) == ["a/b/3.jpg", *rest]
    for path in (root / "a/b").iterdir():
        path.unlink()
    (root / "a/b").rmdir()
    assert paths(folder.walk(after="a/b/2.jpg")) == rest
    (root / "a/b").symlink_to("/")
    assert paths(folder.walk(after="a/b/2.jpg")) == rest


def test_one_file_may_be_named(source: Source) -> None:
    assert paths(source.walk("a/c.jpg")) == ["a/c.jpg"]
    assert paths(source.walk("a/c.jpg", after="a/c.jpg")) == []


def test_files_beside_are_found_by_their_names(source: Source) -> None:
    wanted = [b"1.jpg", b"c.jpg", b"b", b"nowhere.jpg", b"x" * 2000]
    list(source.walk())
    for _ in range(2):
        found = source.present("a", wanted)
        assert {name: one.size for name, one in found.items()} == {b"1.jpg": 2, b"c.jpg": 5}
    assert source.present("", [b"%41.jpg"]) == {}
    assert set(source.present("b", [b"%41.jpg"])) == {b"%41.jpg"}
    assert source.present("nowhere", [b"1.jpg"]) == {}


def test_no_more_than_the_limit_is_read(source: Source) -> None:
    assert source.fetch("a/c.jpg", io.BytesIO(), limit=2).size > 2


@pytest.mark.parametrize("path", ["..", "a/../..", "/etc/passwd", "a//b", "./a", "a/", "%2e%2e/x", "a%00b", "\ud800"])
def test_no_path_leads_out(source: Source, path: str) -> None:
    with pytest.raises(UnsafePathError):
        list(source.walk(path))


def test_links_are_said_and_not_followed(folder: SourceFolder, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.jpg").write_bytes(b"secret")
    (root / "link.jpg").symlink_to(outside / "secret.jpg")
    (root / "linked").symlink_to(outside)
    os.mkfifo(root / "pipe.jpg")
    found = {one.path: one.problem for one in folder.walk() if one.problem}
    assert found == {"link.jpg": "link", "linked": "link", "pipe.jpg": "special"}
    for path in ("link.jpg", "linked/secret.jpg", "pipe.jpg", "a", "nowhere"):
        with pytest.raises(FileNotFoundError):
            fetched(folder, path)
    for path in ("link.jpg", "linked", "linked/secret.jpg", "pipe.jpg"):
        with pytest.raises(FileNotFoundError):
            list(folder.walk(path))
    assert folder.present("linked", [b"secret.jpg"]) == {}
    assert folder.present("", [b"link.jpg", b"pipe.jpg"]) == {}


def test_a_folder_that_becomes_a_link_while_it_is_walked_is_left_alone(
    folder: SourceFolder, root: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "1.jpg").write_bytes(b"secret")
    walk = folder.walk()
    assert next(walk).path == "a/1.jpg"
    # listed before it was replaced
    (root / "b").rename(root / "moved")
    (root / "b").symlink_to(outside)
    assert [path for path in paths(walk) if path.startswith("b/")] == []
    with pytest.raises(FileNotFoundError):
        fetched(folder, "b/1.jpg")


def test_names_that_are_hostile_are_given_back_as_they_are(folder: SourceFolder, root: Path) -> None:
    names = [b"new\nline.jpg", b"caf\xe9.jpg", b"100%.jpg", "ü\x85.jpg".encode(), b"\xed\xb3\xa9.jpg", b" .jpg"]
    for name in names:
        Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_bytes(name)
    found = [one for one in folder.walk() if one.path not in VISIBLE]
    assert {fetched(folder, one.path) for one in found} == set(names)
    assert {storage.text_to_path(one.path) for one in found} == set(names)
    for one in found:
        # what PostgreSQL takes
        one.path.encode()
        assert one.path.isprintable()
    assert {"new%0Aline.jpg", "caf%E9.jpg", "100%25.jpg"} <= set(paths(found))


def test_a_path_that_is_too_long_is_named_and_the_walk_goes_on(folder: SourceFolder, root: Path) -> None:
    deep = root / "m"
    for _ in range(5):
        deep /= "x" * 240
    deep.mkdir(parents=True)
    (deep / "1.jpg").write_bytes(b"deep")
    found = list(folder.walk())
    [problem] = [one for one in found if one.problem]
    assert (problem.problem, problem.path.endswith("/")) == ("path_too_long", True)
    assert len(problem.path.encode()) <= MAX_PATH_BYTES < len(problem.cursor)
    assert paths(folder.walk(after=problem.cursor)) == ["z.txt"]
    assert [one.path for one in folder.walk() if one.problem] == [problem.path]


def test_a_folder_may_be_too_deep(folder: SourceFolder, root: Path) -> None:
    deep = root.joinpath(*["d"] * (folders.MAX_DEPTH + 5))
    deep.mkdir(parents=True)
    assert {one.path: one.problem for one in folder.walk() if one.problem} == {
        "d/" * folders.MAX_DEPTH: "too_deep",
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_said(folder: SourceFolder, root: Path) -> None:
    (root / "a").chmod(0)
    found = {one.path: one.problem for one in folder.walk()}
    (root / "a").chmod(0o700)
    assert found == {"a-b.jpg": "", "a.jpg": "", "a/": "unreadable", "b/%2541.jpg": "", "z.txt": ""}


def test_a_file_that_is_written_to_while_it_is_read_is_not_taken(folder: SourceFolder, root: Path) -> None:
    class Writing(io.BytesIO):
        def write(self, data: object) -> int:
            (root / "a.jpg").write_bytes(b"other")
            return super().write(data)

    with pytest.raises(storage.ChangedWhileReadError):
        folder.fetch("a.jpg", Writing(), limit=1000)


def test_ten_thousand_names_are_never_all_in_memory(
    folder: SourceFolder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "NAMES_AT_ONCE", 100)
    many = root / "many"
    many.mkdir()
    for number in range(10_000):
        (many / f"{number:05}-{'x' * 100}.jpg").touch()
    tracemalloc.start()
    try:
        count = sum(1 for _ in folder.walk("many"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 10_000
    # all of them would be more than 1.5 MB
    assert peak < 500_000
    whole = paths(folder.walk("many"))
    assert whole == sorted(whole)
    assert paths(folder.walk("many", after=whole[5000])) == whole[5001:]


def test_nothing_is_written_and_nothing_is_deleted(source: Source) -> None:
    before = {one.path: (one.size, one.stamp) for one in source.walk()}
    key = storage.reference_key(photo_id=uuid.uuid4(), path="a.jpg")
    alias = storage.source_alias("tree")
    with pytest.raises(storage.ReadOnlyStoreError):
        storage.write_object(alias=alias, key=key, file=ContentFile(b"other"))
    with pytest.raises(storage.ReadOnlyStoreError):
        storage.delete_objects(alias=alias, keys=[key])
    assert {one.path: (one.size, one.stamp) for one in source.walk()} == before


def test_a_referenced_object_is_opened_by_its_key(source: Source) -> None:
    key = storage.reference_key(photo_id=uuid.uuid4(), path="b/%2541.jpg")
    alias = storage.source_alias("tree")
    for opened in (storage.open_object, storage.open_whole_object):
        with opened(alias=alias, key=key) as file:
            assert file.read() == TREE["b/%41.jpg"]
    found = storage.find_object(alias=alias, key=key)
    assert found is not None
    assert (found.key, found.size) == (key, 7)
    assert storage.find_object(alias=alias, key=storage.reference_key(photo_id=uuid.uuid4(), path="no.jpg")) is None
    with pytest.raises(FileNotFoundError):
        storage.open_whole_object(alias=alias, key=storage.reference_key(photo_id=uuid.uuid4(), path="no.jpg"))


def test_a_source_that_is_gone_is_no_missing_file(settings: Settings, root: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    places = {"gone": str(tmp_path / "nowhere"), "empty": str(tmp_path / "empty")}
    settings.STORAGES = {**settings.STORAGES, **source_storages(places)}
    key = storage.reference_key(photo_id=uuid.uuid4(), path="a.jpg")
    for name in ("gone", "empty", "unknown"):
        with pytest.raises(SourceUnavailableError):
            storage.find_object(alias=storage.source_alias(name), key=key)
    with pytest.raises(SourceUnavailableError):
        list(storage.source("gone").walk())
    assert list(storage.source("empty").walk()) == []
    assert storage.source("gone").is_empty()
    assert storage.source("empty").is_empty()
    assert not SourceFolder(location=str(root)).is_empty()


@pytest.mark.parametrize(
    "given",
    ["noplace", "=x", "a=relative", "a=/x/../y", "A=/x", "a b=/x", "a=s3://", "a=s3:///prefix", "x" * 25 + "=/x"],
)
def test_a_source_that_cannot_be_is_said_at_the_start(given: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="IMPORT_SOURCES"):
        import_sources([given])


def test_sources_are_read_of_the_environment() -> None:
    assert import_sources(["cam=/srv/cam", " old-1=s3://bucket/a/b "]) == {
        "cam": "/srv/cam",
        "old-1": "s3://bucket/a/b",
    }
    with pytest.raises(ImproperlyConfigured, match="twice"):
        import_sources(["cam=/srv/cam", "cam=/srv/other"])


def test_a_source_that_shares_a_folder_with_a_store_is_an_error(
    settings: Settings, photo_store: Path, tmp_path: Path
) -> None:
    photo_store.mkdir()
    (tmp_path / "link").symlink_to(photo_store)
    places = {
        "above": str(tmp_path),
        "same": str(photo_store / "originals"),
        "below": str(photo_store / "originals" / "x"),
        "linked": str(tmp_path / "link" / "renditions"),
        "missing": str(tmp_path / "nowhere"),
        "beside": str(tmp_path / "beside"),
    }
    (tmp_path / "beside").mkdir()
    settings.STORAGES = {**settings.STORAGES, **source_storages(places)}
    found = {(one.id, one.msg.split("'")[1]) for one in check_import_sources()}
    assert found == {
        ("photos.E005", "above"),
        ("photos.E005", "same"),
        ("photos.E005", "below"),
        ("photos.E005", "linked"),
        ("photos.W001", "missing"),
    }


def test_a_found_file_goes_on_behind_itself() -> None:
    assert FoundFile("a/b.jpg").cursor == "a/b.jpg"
