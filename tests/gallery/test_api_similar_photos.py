"""Photos that look like one photo: by the bits of a hash, by a model's vectors, and only where one may look."""

from typing import Any

import factories
import numpy as np
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Library
from photos.models import ImageEmbedding, Photo, PhotoFingerprint
from photos.services import fingerprints, trash
from processing.models import ModelSelection

pytestmark = pytest.mark.django_db

MODEL = "clip-vit-b-32-laion2b"
HASH = 0x0F0F_3C3C_55AA_8001


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def visitor(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "visitor"))


@pytest.fixture
def model_in_use() -> ModelSelection:
    return ModelSelection.objects.create(task="image_embedding", model=MODEL, weights_hash="ab" * 32, in_use=True)


def signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def flipped(*bits: int) -> int:
    return HASH ^ sum(1 << bit for bit in bits)


def hashed(library: Library, value: int) -> Photo:
    photo = factories.make_photo(library, perceptual_hash=signed(value))
    fingerprints.note(photo_id=photo.pk, perceptual_hash=signed(value))
    return photo


def embedded(library: Library, angle: float, **values: Any) -> Photo:
    """Make a photo whose vector lies at an angle, in degrees, in one plane."""
    photo = factories.make_photo(library)
    vector = np.zeros(512)
    vector[:2] = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    ImageEmbedding.objects.create(
        **{
            "photo": photo,
            "library": library,
            "model": MODEL,
            "version": "1.x",
            "dimensions": 512,
            "vector": vector.tolist(),
            **values,
        }
    )
    return photo


def similar(client: Client, photo: Photo, query: str = "") -> Any:
    return client.get(f"/api/v1/photos/{photo.pk}/similar{query}")


def ranked(response: Any) -> list[tuple[str, float]]:
    assert response.status_code == 200, response.content
    return [(one["id"], one["distance"]) for one in response.json()["results"]]


def test_copies_are_ranked_by_the_bits_that_differ(visitor: Client, library: Library) -> None:
    photo = hashed(library, HASH)
    # two bits in each block but one, and as far as is looked for: nothing in it can be found by an equal block
    far = hashed(library, flipped(0, 5, 15, 16, 20, 31, 32, 40, 47, 48, 63))
    near, same = hashed(library, flipped(3)), hashed(library, HASH)
    # twelve bits, three in each block
    hashed(library, flipped(0, 5, 15, 16, 20, 31, 32, 40, 47, 48, 60, 63))
    hashed(factories.make_library(), HASH)

    response = similar(visitor, photo)

    assert ranked(response) == [(str(same.pk), 0.0), (str(near.pk), 1.0), (str(far.pk), 11.0)]
    assert {key: response.json()[key] for key in ("by", "model")} == {"by": "hash", "model": None}
    assert ranked(similar(visitor, photo, "?limit=1&by=hash")) == [(str(same.pk), 0.0)]


def test_every_distance_is_found_wherever_its_bits_lie(library: Library) -> None:
    numbers = np.random.default_rng(7)
    places = [numbers.choice(64, size=count, replace=False) for count in range(12) for _ in range(8)]
    for bits in places:
        hashed(library, flipped(*map(int, bits)))
    for farthest in (0, 3, 4, 7, 8, 11):
        near = PhotoFingerprint.objects.filter(library=library).near(signed(HASH), farthest=farthest)
        found = sorted(near.values_list("distance", flat=True))
        assert found == sorted(len(bits) for bits in places if len(bits) <= farthest)
    with pytest.raises(ValueError, match="0 to 11, not 12"):
        PhotoFingerprint.objects.near(0, farthest=12)


def test_a_library_of_many_is_searched_by_the_blocks(library: Library) -> None:
    values = np.random.default_rng(3).integers(-(2**63), 2**63, size=4000)
    photos = Photo.objects.bulk_create(
        Photo(
            library=library, sha256=f"{number:064x}", byte_size=1, image_format="JPEG", mime_type="image/jpeg",
            width=1, height=1, storage_alias="originals", storage_key=f"nowhere/{number}",
        )
        for number in range(len(values))
    )  # fmt: skip
    PhotoFingerprint.objects.bulk_create(
        PhotoFingerprint(photo=photo, library=library, hash=int(value))
        for photo, value in zip(photos, values, strict=True)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE photos_photofingerprint")
    plan = PhotoFingerprint.objects.filter(library=library).near(int(values[0]), farthest=7).explain()
    assert {f"fingerprint_block_{number}" in plan for number in range(4)} == {True}, plan


def test_what_lies_in_the_trash_is_not_similar(visitor: Client, library: Library) -> None:
    photo, gone = hashed(library, HASH), hashed(library, HASH)
    trash.move_to_trash(photo_ids=[gone.pk])
    assert ranked(similar(visitor, photo)) == []
    assert similar(visitor, gone).status_code == 404


def test_a_foreign_photo_is_not_found(library: Library) -> None:
    photo = hashed(library, HASH)
    stranger = factories.client_of(factories.make_member(factories.make_library(), "admin"))
    assert similar(stranger, photo).status_code == 404


def test_a_photo_without_a_hash_says_so(visitor: Client, library: Library) -> None:
    response = similar(visitor, factories.make_photo(library))
    assert (response.status_code, response.json()["code"]) == (409, "not_analysed_yet")


@pytest.mark.parametrize("query", ["by=colour", "by=", "limit=0", "limit=201", "limit=ten", "limit=²"])
def test_what_cannot_be_is_refused(query: str, visitor: Client, library: Library) -> None:
    response = similar(visitor, hashed(library, HASH), f"?{query}")
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, query.split("=", maxsplit=1)[0])


def test_where_a_model_is_in_use_it_ranks(visitor: Client, library: Library, model_in_use: ModelSelection) -> None:
    photo = embedded(library, 0)
    far, near = embedded(library, 90), embedded(library, -30)
    embedded(library, 1, model="clip-vit-b-32-openai")
    embedded(factories.make_library(), 1)
    trash.move_to_trash(photo_ids=[embedded(library, 2).pk])

    response = similar(visitor, photo)

    assert ranked(response) == [
        (str(near.pk), pytest.approx(1 - np.cos(np.radians(30)), abs=1e-3)),
        (str(far.pk), pytest.approx(1, abs=1e-3)),
    ]
    assert (response.json()["by"], response.json()["model"]) == ("embedding", MODEL)


def test_a_photo_that_the_model_has_not_read_is_compared_by_its_hash(
    visitor: Client, library: Library, model_in_use: ModelSelection
) -> None:
    photo, same = hashed(library, HASH), hashed(library, HASH)
    assert ranked(similar(visitor, photo)) == [(str(same.pk), 0.0)]
    refused = similar(visitor, photo, "?by=embedding")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_analysed_yet")


def test_without_a_model_in_use_there_are_no_embeddings_to_compare(visitor: Client, library: Library) -> None:
    photo = embedded(library, 0)
    refused = similar(visitor, photo, "?by=embedding")
    assert (refused.status_code, refused.json()["code"]) == (409, "model_not_installed")
    assert "models use NAME" in refused.json()["detail"]


def test_a_list_costs_the_same_however_long_it_is(visitor: Client, library: Library) -> None:
    photo = hashed(library, HASH)

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert similar(visitor, photo).status_code == 200
        return len(queries)

    similar(visitor, photo)
    hashed(library, HASH)
    few = count()
    for _ in range(5):
        factories.make_rendition(hashed(library, HASH), "preview")
    assert count() == few


def test_a_hash_that_stays_is_grouped_and_one_that_changes_is_not(library: Library) -> None:
    photo = hashed(library, HASH)
    PhotoFingerprint.objects.update(is_grouped=True)
    fingerprints.note(photo_id=photo.pk, perceptual_hash=signed(HASH))
    assert PhotoFingerprint.objects.get().is_grouped
    fingerprints.note(photo_id=photo.pk, perceptual_hash=7)
    row = PhotoFingerprint.objects.get()
    assert (row.hash, row.is_grouped, row.library_id) == (7, False, library.pk)
