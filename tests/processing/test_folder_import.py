"""Importing a folder: every file through the same door, as often as one likes."""

from collections import Counter
from pathlib import Path
from typing import BinaryIO

import factories
import photo_samples
import pytest
import redis

from accounts.models import Library
from accounts.problems import NotFoundError
from photos.models import Photo
from photos.services import originals
from processing.models import StageRun
from processing.models.ledger import Lane
from processing.services import folder_import, forgetting
from processing.services.folder_import import ImportedFile, QuotaUsedUpError

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of everything that lies about in such folders."""
    root = tmp_path / "folder"
    (root / "b" / "deep").mkdir(parents=True)
    (root / ".thumbnails").mkdir()
    twice = photo_samples.picture()
    for name, data in {
        "z.jpg": twice,
        "a.png": photo_samples.picture(image_format="PNG"),
        "b/copy.jpeg": twice,
        "b/deep/noextension": photo_samples.picture(),
        "b/broken.jpg": b"no picture",
        "b/empty.jpg": b"",
        "b/notes.txt": b"a text",
        "b/clip.mp4": b"a film",
        "b/a.xmp": b"<x/>",
        ".hidden.jpg": photo_samples.picture(),
        ".thumbnails/t.jpg": photo_samples.picture(),
    }.items():
        (root / name).write_bytes(data)
    (root / "link.jpg").symlink_to(root / "z.jpg")
    (root / "dangling.jpg").symlink_to(root / "nowhere")
    return root


def names(paths: list[Path], root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in paths]


def import_all(root: Path, library: Library, **values: object) -> dict[str, ImportedFile]:
    paths = folder_import.files_below(root)
    return {
        str(result.path.relative_to(root)): result
        for result in folder_import.import_files(paths=paths, library=library, **values)
    }


def test_files_are_found_in_order_without_hidden_ones_and_links(folder: Path) -> None:
    assert names(folder_import.files_below(folder), folder) == [
        "a.png",
        "b/a.xmp",
        "b/broken.jpg",
        "b/clip.mp4",
        "b/copy.jpeg",
        "b/deep/noextension",
        "b/empty.jpg",
        "b/notes.txt",
        "z.jpg",
    ]
    assert folder_import.files_below(folder / "z.jpg") == [folder / "z.jpg"]
    assert folder_import.files_below(folder / ".hidden.jpg") == [folder / ".hidden.jpg"]


def test_what_became_of_every_file(folder: Path, library: Library) -> None:
    uploader = factories.make_user()
    found = import_all(folder, library, uploader=uploader)
    assert {name: (result.outcome, result.code) for name, result in found.items()} == {
        "a.png": ("new", ""),
        "b/a.xmp": ("passed over", ""),
        "b/broken.jpg": ("refused", "unsupported_format"),
        "b/clip.mp4": ("passed over", ""),
        "b/copy.jpeg": ("new", ""),
        "b/deep/noextension": ("new", ""),
        "b/empty.jpg": ("refused", "empty_file"),
        "b/notes.txt": ("passed over", ""),
        "z.jpg": ("duplicate", ""),
    }
    assert found["z.jpg"].photo_id == found["b/copy.jpeg"].photo_id
    photos = {photo.pk: photo for photo in Photo.objects.all()}
    assert set(photos) == {result.photo_id for result in found.values() if result.outcome == "new"}
    photo = photos[found["b/deep/noextension"].photo_id]
    assert (photo.original_filename, photo.uploader, photo.library) == ("noextension", uploader, library)
    assert set(StageRun.objects.values_list("lane", "state")) == {(Lane.IMPORT, "pending"), (Lane.IMPORT, "waiting")}


def test_repeating_it_takes_nothing_twice(folder: Path, library: Library) -> None:
    import_all(folder, library)
    before = (list(Photo.objects.order_by("pk").values()), list(StageRun.objects.order_by("pk").values()))
    again = import_all(folder, library)
    outcomes = Counter(result.outcome for result in again.values())
    assert outcomes == {"duplicate": 4, "passed over": 3, "refused": 2}
    assert (list(Photo.objects.order_by("pk").values()), list(StageRun.objects.order_by("pk").values())) == before


def test_it_goes_on_where_it_was_cut_off(folder: Path, library: Library) -> None:
    paths = folder_import.files_below(folder)
    cut_off = folder_import.import_files(paths=paths, library=library)
    assert next(cut_off).outcome == "new"
    cut_off.close()
    assert Photo.objects.count() == 1
    found = import_all(folder, library)
    assert [found[name].outcome for name in ("a.png", "b/copy.jpeg", "z.jpg")] == ["duplicate", "new", "duplicate"]
    assert Photo.objects.count() == 3


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path, library: Library) -> None:
    vanished = tmp_path / "vanished.jpg"
    [result] = folder_import.import_files(paths=[vanished], library=library)
    assert (result.outcome, result.code) == ("refused", "unreadable")
    assert "No such file" in result.detail
    assert Photo.objects.count() == 0


def test_a_name_that_is_no_text_is_kept_as_far_as_it_is(tmp_path: Path, library: Library) -> None:
    path = Path(str(tmp_path) + "/caf\udce9.jpg")
    path.write_bytes(photo_samples.picture())
    [result] = folder_import.import_files(paths=folder_import.files_below(tmp_path), library=library)
    assert result.outcome == "new"
    assert Photo.objects.get().original_filename == "caf.jpg"


@pytest.mark.django_db(transaction=True)
def test_workers_are_rung_for_many_photos_at_a_time(tmp_path: Path, library: Library, broker: redis.Redis) -> None:
    for number in range(40):
        (tmp_path / f"{number:02}.jpg").write_bytes(photo_samples.picture())
    # the store lies below the same folder
    paths = sorted(tmp_path.glob("*.jpg"))
    results = folder_import.import_files(paths=paths, library=library)
    assert [next(results).outcome for _ in range(31)] == ["new"] * 31
    assert broker.llen("ingest") == 0
    next(results)
    assert broker.llen("ingest") == 2
    assert [result.outcome for result in results] == ["new"] * 8
    assert broker.llen("ingest") == 4


@pytest.mark.parametrize(
    ("name", "is_else"),
    [
        ("a.jpg", False),
        ("a.HEIC", False),
        ("a.jxl", False),
        ("a.unknown", False),
        ("a", False),
        ("a.mp4", True),
        ("a.MOV", True),
        ("a.json", True),
        ("a.pdf", True),
        ("a.txt", True),
        ("a.xmp", True),
        ("IMG_0001.AAE", True),
    ],
)
def test_names_that_say_that_it_is_something_else(name: str, is_else: bool) -> None:
    assert folder_import.is_something_else(Path(name)) is is_else


@pytest.fixture
def camera(tmp_path: Path) -> Path:
    """A folder of its own, beside the store."""
    root = tmp_path / "camera"
    root.mkdir()
    return root


def limited(library: Library, *files: bytes) -> None:
    """Leave room for these files, and for a few bytes more than they have."""
    Library.objects.filter(pk=library.pk).update(quota_bytes=sum(map(len, files)) + 10)


def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the names of the files that are read, as they are."""
    read, names = originals.hash_file, []

    def note(file: BinaryIO) -> tuple[str, int]:
        names.append(Path(file.name).name)
        return read(file)

    monkeypatch.setattr(originals, "hash_file", note)
    return names


def test_it_ends_where_no_file_fits_any_more(camera: Path, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [photo_samples.picture() for _ in range(4)]
    for number, data in enumerate(pictures):
        (camera / f"{number}.jpg").write_bytes(data)
    # neither is an image that would fit
    (camera / "5.txt").write_text("a text")
    (camera / "6.jpg").write_bytes(b"")
    limited(library, pictures[0])
    names, found = hashed(monkeypatch), []
    with pytest.raises(QuotaUsedUpError, match="No file that is left fits either") as ended:
        found.extend(folder_import.import_files(paths=folder_import.files_below(camera), library=library))
    assert ended.value.code == "quota_exceeded"
    assert names == ["0.jpg", "1.jpg"]
    assert Photo.objects.count() == 1


def test_one_file_that_is_too_big_is_not_the_end(camera: Path, library: Library) -> None:
    big, small = photo_samples.picture(size=(1600, 1200)), photo_samples.picture()
    assert len(big) > len(small) + 10
    for name, data in {"a.jpg": big, "b.jpg": small, "c.txt": b"a text"}.items():
        (camera / name).write_bytes(data)
    limited(library, small)
    found = import_all(camera, library)
    assert {name: (one.outcome, one.code) for name, one in found.items()} == {
        "a.jpg": ("refused", "quota_exceeded"), "b.jpg": ("new", ""), "c.txt": ("passed over", ""),
    }  # fmt: skip
    # nor is one that was the last
    limited(library)
    Photo.objects.all().delete()
    (camera / "a.jpg").unlink()
    assert [one.code for one in import_all(camera, library).values()] == ["quota_exceeded", ""]


def test_a_library_that_is_being_erased_ends_it_and_what_came_is_rung_for(
    camera: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        (camera / f"{number}.jpg").write_bytes(photo_samples.picture())
    rung: list[int] = []
    monkeypatch.setattr(folder_import, "announce_new", lambda ids: rung.append(len(ids)))
    importing = folder_import.import_files(paths=folder_import.files_below(camera), library=library)
    assert next(importing).outcome == "new"
    forgetting.forget_library(library=library, by=None)
    with pytest.raises(NotFoundError):
        next(importing)
    assert (rung, Photo.objects.count()) == ([1], 1)
