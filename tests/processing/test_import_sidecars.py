"""Files beside photos: read with them, read anew when they change, and never in a photo's way."""

import json
from pathlib import Path
from typing import Any

import factories
import photo_samples
import pytest
from import_samples import counted, run, tree
from pytest_django import Settings

from accounts.models import Library
from photos.models import Photo, Sidecar
from photos.services import sidecars
from processing.models import ImportedFile
from processing.services import forgetting

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]


@pytest.fixture
def root(import_source: Path) -> Path:
    """An empty source."""
    return import_source


def picture(root: Path, name: str) -> bytes:
    data = photo_samples.picture()
    (root / name).write_bytes(data)
    return data


def xmp(title: str) -> str:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title><rdf:Alt>'
        f'<rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title></rdf:Description></rdf:RDF></x:xmpmeta>'
    )


def takeout(**values: Any) -> str:
    return json.dumps({"title": "x.jpg", "photoTakenTime": {"timestamp": "1625329805"}, **values})


def said() -> dict[str, tuple[str, str, object]]:
    """Give of each photo who wrote its sidecar, where, and its title or else its caption."""
    rows = Sidecar.objects.select_related("photo")
    return {
        row.photo.original_filename: (row.kind, row.path, row.values["title"] or row.values["caption"]) for row in rows
    }


def test_what_lies_beside_photos_is_read_with_them(root: Path, library: Library) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg", "d-edited.jpg", "e(1).jpg", "f.jpg"):
        picture(root, name)
    (root / "a.jpg.xmp").write_text(xmp("of a"))
    (root / "b.xmp").write_text(xmp("of b"))
    (root / "c.jpg.supplemental-metadata.json").write_text(takeout(description="of c", people=[{"name": "Ada"}]))
    (root / "d.jpg.json").write_text(takeout(description="of d"))
    (root / "e.jpg(1).json").write_text(takeout(description="of e"))
    before = tree(root)
    assert counted(run(library)) == {"files": 7, "added": 7, "sidecars": 6, "passed_over": 5}
    assert said() == {
        "a.jpg": ("xmp", "camera:a.jpg.xmp", "of a"),
        "b.jpg": ("xmp", "camera:b.xmp", "of b"),
        "c.jpg": ("takeout", "camera:c.jpg.supplemental-metadata.json", "of c"),
        "d.jpg": ("takeout", "camera:d.jpg.json", "of d"),
        "d-edited.jpg": ("takeout", "camera:d.jpg.json", "of d"),
        "e(1).jpg": ("takeout", "camera:e.jpg(1).json", "of e"),
    }
    row = Sidecar.objects.get(photo__original_filename="c.jpg")
    assert row.values == {
        "title": "",
        "caption": "of c",
        "keywords": [],
        "rating": None,
        "taken_at": "2021-07-03T16:30:05+00:00",
        "latitude": None,
        "longitude": None,
        "favourite": None,
        "people": ["Ada"],
    }
    assert len(row.sha256) == 64
    assert tree(root) == before


def test_what_a_photo_tool_wrote_goes_before_takeout(root: Path, library: Library) -> None:
    picture(root, "a.jpg")
    (root / "a.jpg.json").write_text(takeout(description="of Takeout"))
    (root / "a.xmp").write_text(xmp("of a tool"))
    run(library)
    assert said() == {"a.jpg": ("xmp", "camera:a.xmp", "of a tool")}


def test_one_that_has_changed_replaces_what_was_there_and_the_photo_is_not_read_again(
    root: Path, library: Library
) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        picture(root, name)
    (root / "a.xmp").write_text(xmp("first"))
    (root / "b.xmp").write_text(xmp("stays"))
    run(library)
    (root / "a.xmp").write_text(xmp("second"))
    (root / "c.jpg.xmp").write_text(xmp("late"))
    assert counted(run(library)) == {"files": 3, "unchanged": 3, "sidecars": 2, "passed_over": 3}
    assert {name: title for name, (_, _, title) in said().items()} == {
        "a.jpg": "second", "b.jpg": "stays", "c.jpg": "late",
    }  # fmt: skip
    # another file, more to be believed
    (root / "a.jpg.xmp").write_text(xmp("third"))
    assert counted(run(library)) == {"files": 3, "unchanged": 3, "sidecars": 1, "passed_over": 4}
    assert said()["a.jpg"] == ("xmp", "camera:a.jpg.xmp", "third")
    assert counted(run(library)) == {"files": 3, "unchanged": 3, "passed_over": 4}
    # what is gone has been said all the same
    (root / "b.xmp").unlink()
    assert counted(run(library)) == {"files": 3, "unchanged": 3, "passed_over": 3}
    assert said()["b.jpg"][2] == "stays"


def test_of_two_files_that_are_one_photo_the_first_ones_sidecar_stays(root: Path, library: Library) -> None:
    data = picture(root, "a.jpg")
    (root / "b.jpg").write_bytes(data)
    (root / "a.xmp").write_text(xmp("of a"))
    (root / "b.xmp").write_text(xmp("of b"))
    assert counted(run(library)) == {"files": 2, "added": 1, "duplicates": 1, "sidecars": 1, "passed_over": 2}
    assert said() == {"a.jpg": ("xmp", "camera:a.xmp", "of a")}
    # where it has none, it is given one
    (root / "c.jpg").write_bytes(photo_samples.picture())
    photo = photo_samples.take_in(library, (root / "c.jpg").read_bytes(), filename="c.jpg")
    (root / "c.xmp").write_text(xmp("of c"))
    run(library)
    assert photo.sidecar.values["title"] == "of c"


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("a.xmp", b"no xml", "sidecar_damaged"),
        ("a.xmp", b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><x>&f;</x>', "sidecar_damaged"),
        ("a.jpg.json", b"[" * 100_000, "sidecar_damaged"),
        ("a.jpg.json", b"{}", "sidecar_damaged"),
        ("a.xmp", b" " * (1024 * 1024 + 1), "sidecar_too_large"),
    ],
)
def test_a_hostile_sidecar_is_refused_and_the_photo_is_taken_in(
    root: Path, library: Library, name: str, data: bytes, code: str
) -> None:
    picture(root, "a.jpg")
    (root / name).write_bytes(data)
    assert counted(run(library)) == {"files": 1, "added": 1, "sidecars_refused": 1, "passed_over": 1}
    assert Sidecar.objects.count() == 0
    assert ImportedFile.objects.get().sidecar_code == code
    # as long as it is what it was, nobody reads it again
    assert counted(run(library)) == {"files": 1, "unchanged": 1, "passed_over": 1}
    assert ImportedFile.objects.get().sidecar_code == code
    other = xmp("mended") if name.endswith("xmp") else takeout(description="mended")
    (root / name).write_text(other)
    assert counted(run(library)) == {"files": 1, "unchanged": 1, "sidecars": 1, "passed_over": 1}
    assert ImportedFile.objects.get().sidecar_code == ""
    assert said()["a.jpg"][2] == "mended"


def test_a_link_beside_a_photo_is_no_sidecar(root: Path, library: Library, tmp_path: Path) -> None:
    picture(root, "a.jpg")
    (tmp_path / "secret.xmp").write_text(xmp("secret"))
    (root / "a.xmp").symlink_to(tmp_path / "secret.xmp")
    (root / "a.jpg.xmp").mkdir()
    assert counted(run(library)) == {"files": 1, "added": 1, "passed_over": 1}
    assert Sidecar.objects.count() == 0


def test_a_sidecar_without_a_photo_is_passed_over(root: Path, library: Library) -> None:
    (root / "metadata.json").write_text(takeout())
    (root / "lonely.xmp").write_text(xmp("lonely"))
    assert counted(run(library)) == {"passed_over": 2}


def test_names_of_people_go_when_somebody_is_forgotten(root: Path, library: Library) -> None:
    for name in ("a.jpg", "b.jpg"):
        picture(root, name)
        (root / f"{name}.json").write_text(takeout(description="stays", people=[{"name": "Ada"}]))
    run(library)
    photo, other = Photo.objects.order_by("original_filename")
    person = factories.make_person(library, name="Ada")
    factories.make_face(photo, person=person)
    forgetting.forget_person(person=person, by=None)
    assert photo_samples.run_library_work("forget") == 1
    values = {row.photo_id: row.values for row in Sidecar.objects.all()}
    assert (values[photo.pk]["people"], values[photo.pk]["caption"]) == ([], "stays")
    # where nobody was seen, nobody is known to be meant
    assert values[other.pk]["people"] == ["Ada"]


def test_a_sidecar_goes_with_its_photo_and_none_is_written_for_one_that_is_gone(
    root: Path, library: Library, settings: Settings
) -> None:
    picture(root, "a.jpg")
    (root / "a.xmp").write_text(xmp("of a"))
    run(library)
    photo = Photo.objects.get()
    photo.delete()
    assert Sidecar.objects.count() == 0
    written = sidecars.replace_sidecar(photo_id=photo.pk, kind="xmp", path="x", sha256="0" * 64, values={})
    assert (written, Sidecar.objects.count()) == (False, 0)
    (root / "a.xmp").write_text(xmp("again"))
    assert counted(run(library)) == {"files": 1, "unchanged": 1, "passed_over": 1}
