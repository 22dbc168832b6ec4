"""Rows that stages replace: equal values leave equal rows, and nothing of the old ones stays."""

from datetime import UTC, datetime

import factories
import pytest
from django.core.exceptions import ValidationError

from photos.models import Metadata, Photo, Rendition
from photos.services import results
from photos.services.results import StoredRendition

pytestmark = pytest.mark.django_db


@pytest.fixture
def photo() -> Photo:
    return factories.make_photo(factories.make_library())


def rendition(kind: str, version: str = "v1", **values: object) -> StoredRendition:
    fields = {
        "kind": kind,
        "storage_key": f"photo/{kind}.{version}.jpg",
        "mime_type": "image/jpeg",
        "width": 300,
        "height": 200,
        "byte_size": 1000,
        "sha256": "ab" * 32,
    }
    return StoredRendition(**{**fields, **values})


def replace(photo: Photo, version: str, *kinds: str) -> list[str]:
    return results.replace_renditions(
        photo_id=photo.pk,
        version=version,
        renditions=[rendition(kind, version) for kind in kinds],
        width=4000,
        height=3000,
        thumbhash=b"hash",
        perceptual_hash=-5,
    )


def _replace(photo: Photo, *, version: str, values: dict[str, object]) -> None:
    results.replace_metadata(photo_id=photo.pk, library_id=photo.library_id, version=version, values=values)


def test_metadata_is_replaced_and_not_mixed(photo: Photo) -> None:
    taken = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
    first = {"camera_make": "Canon", "taken_at": taken, "keywords": ["sea"], "latitude": 1.5, "longitude": -2.5}
    _replace(photo, version="v1", values=first)
    before = Metadata.objects.values().get()
    assert {name: before[name] for name in first} == first
    assert (before["photo_id"], before["version"], before["lens"], before["rating"]) == (photo.pk, "v1", "", None)

    _replace(photo, version="v1", values=first)
    assert Metadata.objects.values().get() == before

    _replace(photo, version="v2", values={"camera_model": "EOS"})
    after = Metadata.objects.values().get()
    assert (after["version"], after["camera_make"], after["camera_model"]) == ("v2", "", "EOS")
    assert (after["taken_at"], after["keywords"], after["latitude"]) == (None, [], None)


@pytest.mark.parametrize(
    "values",
    [{"latitude": 91.0, "longitude": 0.0}, {"latitude": 1.0}, {"orientation": 9}, {"rating": 6}, {"lens": "x" * 129}],
)
def test_values_that_cannot_be_are_refused(photo: Photo, values: dict[str, object]) -> None:
    _replace(photo, version="v1", values={"camera_make": "Canon"})
    before = Metadata.objects.values().get()
    with pytest.raises(ValidationError):
        _replace(photo, version="v2", values=values)
    assert Metadata.objects.values().get() == before


def test_renditions_made_twice_are_the_same_rows(photo: Photo) -> None:
    assert replace(photo, "v1", "preview", "thumb_300") == []
    before = list(Rendition.objects.order_by("kind").values())
    assert [(row["kind"], row["storage_key"]) for row in before] == [
        ("preview", "photo/preview.v1.jpg"),
        ("thumb_300", "photo/thumb_300.v1.jpg"),
    ]
    photo.refresh_from_db()
    assert (photo.width, photo.height, bytes(photo.thumbhash), photo.perceptual_hash) == (4000, 3000, b"hash", -5)

    assert replace(photo, "v1", "preview", "thumb_300") == []
    assert list(Rendition.objects.order_by("kind").values()) == before


def test_a_new_version_takes_the_place_of_the_old_and_names_its_objects(photo: Photo) -> None:
    other = factories.make_rendition(factories.make_photo(photo.library), "preview")
    replace(photo, "v1", "preview", "thumb_300", "thumb_600")
    ids = dict(Rendition.objects.filter(photo=photo).values_list("kind", "pk"))

    orphans = replace(photo, "v2", "preview", "thumb_600", "thumb_1200")

    assert sorted(orphans) == [f"photo/{kind}.v1.jpg" for kind in ("preview", "thumb_300", "thumb_600")]
    rows = {row.kind: row for row in Rendition.objects.filter(photo=photo)}
    assert sorted(rows) == ["preview", "thumb_1200", "thumb_600"]
    assert {row.version for row in rows.values()} == {"v2"}
    assert rows["preview"].pk == ids["preview"]
    assert rows["preview"].storage_key == "photo/preview.v2.jpg"
    assert Rendition.objects.filter(pk=other.pk, storage_key=other.storage_key).exists()
