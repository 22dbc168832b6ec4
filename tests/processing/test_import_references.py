"""Originals that stay where they are: read as others are, never altered, never deleted."""

import io
import os
from pathlib import Path
from typing import Any

import factories
import photo_samples
import pytest
from import_samples import counted, run, shown, start, states, tree, work
from proving import NOTHING, prove
from pytest_django import Settings

from accounts.models import Library
from photos import integrity, storage
from photos.integrity import WrongBytesError
from photos.models import ObjectSweep, Photo
from photos.services import originals, purge
from processing import ingest
from processing.importing import taking
from processing.models import ImportedFile, LibraryRun, StageRun
from processing.services import forgetting, imports, object_sweeps, trash

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]


@pytest.fixture
def root(import_source: Path) -> Path:
    """A source with three photos, one of them below a folder whose name has to be escaped."""
    (import_source / "100%").mkdir()
    for name in ("a.jpg", "b.jpg", "100%/c.jpg"):
        (import_source / name).write_bytes(photo_samples.picture())
    return import_source


def lies_at(root: Path, photo: Photo) -> Path:
    """Give the file that a photo refers to."""
    return root / storage.text_to_path(photo.storage_key).decode().partition("/")[2]


def refer(library: Library, **values: Any) -> Any:
    return run(library, mode="reference", **values)


def test_the_original_stays_where_it_is_and_the_photo_goes_its_way(
    root: Path, library: Library, photo_store: Path
) -> None:
    before = tree(root)
    assert counted(refer(library)) == {"files": 3, "added": 3}
    assert photo_samples.files_below(photo_store) == {}
    assert ObjectSweep.objects.count() == 0
    photos = {photo.original_filename: photo for photo in Photo.objects.all()}
    assert {name: (photo.storage_alias, photo.storage_key) for name, photo in photos.items()} == {
        "a.jpg": ("source:camera", f"{photos['a.jpg'].pk}/a.jpg"),
        "b.jpg": ("source:camera", f"{photos['b.jpg'].pk}/b.jpg"),
        "c.jpg": ("source:camera", f"{photos['c.jpg'].pk}/100%25/c.jpg"),
    }
    photo_samples.run_everything()
    assert set(StageRun.objects.exclude(stage="place").values_list("state", flat=True)) == {"done"}
    for photo in Photo.objects.all():
        with integrity.open_original(photo) as file:
            assert file.read() == lies_at(root, photo).read_bytes()
        assert photo.renditions.count() == 4
    assert tree(root) == before


def test_two_libraries_refer_to_one_file(root: Path, library: Library) -> None:
    refer(library)
    assert counted(refer(factories.make_library())) == {"files": 3, "added": 3}
    assert Photo.objects.count() == 6


def test_bytes_that_are_there_already_are_not_referred_to(root: Path, library: Library) -> None:
    photo = photo_samples.take_in(library, (root / "a.jpg").read_bytes())
    assert counted(refer(library)) == {"files": 3, "added": 2, "duplicates": 1}
    photo.refresh_from_db()
    assert photo.storage_alias == "originals"


def test_whatever_is_deleted_here_nothing_is_deleted_there(root: Path, library: Library, photo_store: Path) -> None:
    before = tree(root)
    refer(library)
    photo_samples.run_everything()
    purged, *_ = Photo.objects.order_by("pk")
    assert trash.purge(photo_ids=[purged.pk], also_present=True) == 1
    assert set(ObjectSweep.objects.values_list("alias", flat=True)) == {"renditions"}
    object_sweeps.sweep()
    assert tree(root) == before
    # deleted for good stays deleted
    assert counted(refer(library)) == {"files": 3, "unchanged": 3}
    forgetting.forget_library(library=library, by=None)
    while photo_samples.run_library_work("forget"):
        object_sweeps.sweep()
    assert (Photo.objects.count(), ImportedFile.objects.count()) == (0, 0)
    assert photo_samples.files_below(photo_store) == {}
    assert tree(root) == before


def test_no_service_writes_to_a_source_or_deletes_from_it(root: Path, library: Library) -> None:
    refer(library)
    before = tree(root)
    photo = Photo.objects.get(original_filename="a.jpg")
    originals.discard(photo)
    assert ObjectSweep.objects.count() == 0
    with pytest.raises(storage.ReadOnlyStoreError):
        storage.delete_objects(alias=photo.storage_alias, keys=[photo.storage_key])
    with pytest.raises(storage.ReadOnlyStoreError):
        storage.write_object(alias=photo.storage_alias, key=photo.storage_key, file=photo_samples.content(b"x"))
    assert tree(root) == before
    assert purge.purge_photos(photo_ids=[photo.pk], only=purge.ANY) == 1
    assert tree(root) == before


def test_a_file_that_was_altered_is_not_taken_for_the_photo(root: Path, library: Library) -> None:
    refer(library)
    old = Photo.objects.get(original_filename="a.jpg")
    data = photo_samples.picture()
    (root / "a.jpg").write_bytes(data)
    with pytest.raises(WrongBytesError):
        integrity.open_original(old)
    photo_samples.run("exif")
    run_row = photo_samples.run_of(old, "exif")
    assert run_row.error_code == "wrong_bytes"
    assert counted(refer(library)) == {"files": 3, "changed": 1, "unchanged": 2}
    new = ImportedFile.objects.get(path="a.jpg")
    assert (new.previous_photo_id, new.state) == (old.pk, "changed")
    with integrity.open_original(new.photo) as file:
        assert file.read() == data


def test_a_file_that_is_gone_is_missing_and_its_photo_says_so(root: Path, library: Library) -> None:
    refer(library)
    (root / "a.jpg").unlink()
    again = refer(library)
    assert (counted(again), states(library)["a.jpg"]) == ({"files": 2, "unchanged": 2, "missing": 1}, "missing")
    photo = Photo.objects.get(original_filename="a.jpg")
    with pytest.raises(FileNotFoundError):
        integrity.open_original(photo)
    photo_samples.run("exif")
    assert photo_samples.run_of(photo, "exif").error_code == "object_missing"


def test_the_same_bytes_uploaded_make_a_lost_original_ours(root: Path, library: Library, photo_store: Path) -> None:
    refer(library)
    photo = Photo.objects.get(original_filename="a.jpg")
    data = (root / "a.jpg").read_bytes()
    # as long as it is there it is not copied
    assert ingest.take_in(library=library, file=io.BytesIO(data), filename="x.jpg").photo == photo
    assert photo_samples.files_below(photo_store) == {}
    (root / "a.jpg").unlink()
    before = tree(root)
    taken = ingest.take_in(library=library, file=io.BytesIO(data), filename="x.jpg")
    assert (taken.photo, taken.is_new) == (photo, False)
    photo.refresh_from_db()
    assert (photo.storage_alias, photo.storage_key) == ("originals", f"{library.pk}/{photo.pk}")
    with integrity.open_original(photo) as file:
        assert file.read() == data
    assert ObjectSweep.objects.count() == 0
    assert tree(root) == before


def test_a_source_that_is_not_mounted_costs_no_attempt(root: Path, library: Library) -> None:
    refer(library)
    root.rename(root.parent / "away")
    assert photo_samples.run("exif") == 3
    assert set(StageRun.objects.filter(stage="exif").values_list("state", "attempt", "error_code")) == {
        ("pending", 0, "storage_unavailable")
    }
    root.mkdir()
    photo = Photo.objects.first()
    with pytest.raises(storage.SourceUnavailableError):
        integrity.open_original(photo)
    # its bytes are taken from whoever sends them
    data = lies_at(root.parent / "away", photo).read_bytes()
    assert ingest.take_in(library=library, file=io.BytesIO(data), filename="x.jpg").photo == photo
    photo.refresh_from_db()
    assert photo.storage_alias == "originals"


def test_a_link_in_the_place_of_an_original_is_not_followed(root: Path, library: Library, tmp_path: Path) -> None:
    refer(library)
    photo = Photo.objects.get(original_filename="a.jpg")
    (tmp_path / "same.jpg").write_bytes((root / "a.jpg").read_bytes())
    (root / "a.jpg").unlink()
    (root / "a.jpg").symlink_to(tmp_path / "same.jpg")
    with pytest.raises(FileNotFoundError):
        integrity.open_original(photo)


def test_killed_in_the_middle_no_file_is_referred_to_twice(root: Path, library: Library) -> None:
    made = start(library, mode="reference")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(taking._Note, "committed", lambda self: 1 / 0)
        work()
    # the transaction had ended
    assert Photo.objects.count() == 1
    LibraryRun.objects.update(not_before=None)
    work()
    assert (counted(shown(made)), Photo.objects.count()) == ({"files": 3, "added": 3}, 3)


def test_a_proof_looks_at_referenced_originals_where_they_are(
    root: Path, library: Library, settings: Settings, quick_ripening: None
) -> None:
    refer(library)
    photo_samples.take_in(library, photo_samples.picture())
    photo_samples.run_everything()
    before = tree(root)
    for arguments in ((), ("--no-bytes",)):
        assert prove(*arguments).counts == NOTHING
    a, b = (Photo.objects.get(original_filename=name) for name in ("a.jpg", "b.jpg"))
    (root / "a.jpg").unlink()
    (root / "b.jpg").write_bytes(b"another")
    for arguments in ((), ("--no-bytes",)):
        assert prove(*arguments).offences == {
            ("original_missing", str(a.pk)), ("original_wrong", str(b.pk)),
        }  # fmt: skip
    (root / "b.jpg").write_bytes(b"")
    prove("--repair", "--yes")
    assert {path: facts for path, facts in tree(root).items() if "c.jpg" in path} == {
        path: facts for path, facts in before.items() if "c.jpg" in path
    }


def test_what_a_walk_calls_too_long_is_refused(root: Path, library: Library) -> None:
    deep = root
    for _ in range(5):
        deep /= "x" * 240
    deep.mkdir(parents=True)
    (deep / "1.jpg").write_bytes(photo_samples.picture())
    assert counted(refer(library)) == {"files": 3, "added": 3, "refused": 1, "refused_path_too_long": 1}
    assert counted(refer(library)) == {"files": 3, "unchanged": 3, "refused": 1, "refused_path_too_long": 1}


def test_a_long_path_is_a_key(root: Path, library: Library) -> None:
    deep = root
    for _ in range(3):
        deep /= "ü" * 120
    deep.mkdir(parents=True)
    (deep / f"{'y' * 240}.jpg").write_bytes(photo_samples.picture())
    assert counted(refer(library)) == {"files": 4, "added": 4}
    photo = Photo.objects.order_by("-pk").first()
    with integrity.open_original(photo) as file:
        assert len(file.read()) == photo.byte_size
    assert os.fsencode(photo.storage_key)


def test_imports_read_again_refer_as_the_first_one_did(root: Path, library: Library) -> None:
    first = refer(library)
    (root / "new.jpg").write_bytes(photo_samples.picture())
    again = imports.rescan(import_id=first.pk, by=factories.make_user(is_superuser=True))
    work()
    assert (again.mode, counted(shown(again))) == ("reference", {"files": 4, "added": 1, "unchanged": 3})
    assert Photo.objects.get(original_filename="new.jpg").storage_alias == "source:camera"
