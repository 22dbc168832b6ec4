"""Faces that are found again keep their id, person and decisions; vectors that are as they were stay in their group."""

import factories
import numpy as np
import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from photos.models import Face, FaceEmbedding, GroupLoss, Photo
from photos.services import faces
from photos.services.faces import FoundFace

pytestmark = pytest.mark.django_db

LANDMARKS = [[0.3, 0.2], [0.4, 0.2], [0.35, 0.25], [0.3, 0.3], [0.4, 0.3]]


@pytest.fixture
def photo() -> Photo:
    return factories.make_photo(factories.make_library())


def found(left: float, *, top: float = 0.2, size: float = 0.2, chip: str = "", **values: object) -> FoundFace:
    """A face in a square of the photo; its chip's key is a function of its place."""
    fields = {
        "left": left,
        "top": top,
        "right": left + size,
        "bottom": top + size,
        "landmarks": LANDMARKS,
        "confidence": 0.99,
        "quality": 0.5,
        "chip_key": chip or f"chip {left:.3f}",
        "chip_sha256": "0" * 64,
        "chip_width": 160,
        "chip_height": 150,
        "chip_box": [40.0, 40.0, 120.0, 120.0],
        "chip_landmarks": [[60.0, 70.0]] * 5,
    }
    return FoundFace(**{**fields, **values})


def replace(photo: Photo, *these: FoundFace, version: str = "v1") -> list[str]:
    return faces.replace_faces(photo_id=photo.pk, version=version, found=these)


def rows(photo: Photo) -> dict[str, Face]:
    return {face.chip_key: face for face in Face.objects.filter(photo=photo)}


def embed(photo: Photo, vectors: dict[Face, np.ndarray], *, model: str = "m", version: str = "v1") -> None:
    given = {face.pk: vector for face, vector in vectors.items()}
    faces.replace_embeddings(library_id=photo.library_id, model=model, version=version, vectors=given)


@pytest.mark.parametrize("forget", ["faces", "embeddings"])
def test_what_is_forgotten_is_noted_without_its_vectors(photo: Photo, forget: str) -> None:
    replace(photo, found(0.1))
    face = Face.objects.get()
    embed(photo, {face: np.ones(128, np.float32)})
    FaceEmbedding.objects.update(component=7)
    embedding = FaceEmbedding.objects.get()
    with CaptureQueriesContext(connection) as queries, transaction.atomic():
        if forget == "faces":
            faces.forget_faces(face_ids=[face.pk])
        else:
            faces.forget_embeddings(embedding_ids=[embedding.pk])
    assert list(GroupLoss.objects.values_list("library_id", "model", "component")) == [(photo.library_id, "m", 7)]
    assert not FaceEmbedding.objects.exists()
    noted = [one["sql"] for one in queries if '"component"' in one["sql"] and one["sql"].startswith("SELECT")]
    assert noted
    assert [sql for sql in noted if '"vector"' in sql] == []


def test_faces_found_twice_are_the_same_rows(photo: Photo) -> None:
    assert replace(photo, found(0.1), found(0.6)) == []
    before = list(Face.objects.order_by("left").values())
    assert [(row["left"], row["right"], row["chip_key"], row["version"]) for row in before] == [
        (0.1, pytest.approx(0.3), "chip 0.100", "v1"),
        (0.6, pytest.approx(0.8), "chip 0.600", "v1"),
    ]
    assert replace(photo, found(0.6), found(0.1)) == []
    assert list(Face.objects.order_by("left").values()) == before


def test_a_face_that_is_found_again_keeps_its_id_person_and_decision(photo: Photo) -> None:
    person = factories.make_person(photo.library, name="Ada")
    replace(photo, found(0.1), found(0.6))
    Face.objects.filter(chip_key="chip 0.100").update(person=person, person_decided=True)
    before = rows(photo)

    orphans = replace(photo, found(0.12, confidence=0.9, quality=0.25), found(0.61), found(0.35), version="v2")

    assert orphans == ["chip 0.100", "chip 0.600"]
    after = rows(photo)
    assert sorted(after) == ["chip 0.120", "chip 0.350", "chip 0.610"]
    moved = after["chip 0.120"]
    assert (moved.pk, moved.person, moved.person_decided) == (before["chip 0.100"].pk, person, True)
    assert (moved.left, moved.confidence, moved.quality, moved.version) == (0.12, 0.9, 0.25, "v2")
    assert after["chip 0.610"].pk == before["chip 0.600"].pk
    assert (after["chip 0.350"].person, after["chip 0.350"].version) == (None, "v2")


def test_what_is_not_found_again_goes_unless_somebody_decided_on_it(photo: Photo) -> None:
    person = factories.make_person(photo.library)
    replace(photo, found(0.1), found(0.6))
    decided, other = rows(photo)["chip 0.100"], rows(photo)["chip 0.600"]
    Face.objects.filter(pk=decided.pk).update(person=None, person_decided=True)
    Face.objects.filter(pk=other.pk).update(person=person)

    assert replace(photo, version="v2") == ["chip 0.600"]

    left = Face.objects.get()
    # its chip is still there to be embedded, so it still says which version made it
    assert (left.pk, left.chip_key, left.version, left.person_decided) == (decided.pk, "chip 0.100", "v1", True)
    assert faces.has_faces(photo_id=photo.pk)
    assert not faces.has_faces(photo_id=factories.make_photo(photo.library).pk)


def test_other_photos_faces_are_left_alone(photo: Photo) -> None:
    other = factories.make_face(factories.make_photo(photo.library))
    replace(photo, found(0.1))
    replace(photo)
    assert list(Face.objects.all()) == [other]


def test_faces_are_paired_one_to_one_by_the_most_overlap(photo: Photo) -> None:
    replace(photo, found(0.10), found(0.16))
    old = list(Face.objects.order_by("left"))
    # both new ones overlap both old ones
    pairs = faces.match_by_overlap(old, [found(0.17), found(0.11)])
    assert pairs == {0: 1, 1: 0}
    assert faces.match_by_overlap(old, []) == {}
    assert faces.match_by_overlap([], [found(0.1)]) == {}


def test_overlaps_too_small_to_count_do_not_outweigh_one_that_counts(photo: Photo) -> None:
    replace(photo, found(0.300), found(0.468))
    old = list(Face.objects.order_by("left"))
    new = [found(0.376), found(0.208)]

    def overlap(a: Face, b: FoundFace) -> float:
        common = max(min(a.right, b.right) - max(a.left, b.left), 0)
        return common / (0.4 - common)  # squares of one size, side by side

    table = [[overlap(a, b) for b in new] for a in old]
    # one pair counts; the two crosswise do not, though together they are more
    assert table[0][0] > faces.SAME_FACE_OVERLAP > max(table[0][1], table[1][0])
    assert table[0][0] + table[1][1] < table[0][1] + table[1][0]
    assert faces.match_by_overlap(old, new) == {0: 0}


def test_groups_that_lose_a_face_are_noted(photo: Photo) -> None:
    replace(photo, found(0.1), found(0.4), found(0.7))
    grouped, unread, stays = (rows(photo)[f"chip {left}00"] for left in (0.1, 0.4, 0.7))
    for model in ("m", "n"):
        embed(photo, {face: np.ones(4, np.float32) for face in (grouped, unread, stays)}, model=model)
    FaceEmbedding.objects.filter(face__in=[grouped, stays]).update(component=77)

    replace(photo, found(0.7))

    losses = GroupLoss.objects.order_by("model").values_list("library_id", "model", "component")
    assert list(losses) == [(photo.library_id, "m", 77), (photo.library_id, "n", 77)]
    assert set(FaceEmbedding.objects.values_list("face_id", flat=True)) == {stays.pk}


def test_an_equal_vector_stays_in_its_group(photo: Photo) -> None:
    generator = np.random.default_rng(1)
    replace(photo, found(0.1), found(0.6))
    face, other = rows(photo)["chip 0.100"], rows(photo)["chip 0.600"]
    vectors = {one: generator.normal(size=128).astype(np.float32) for one in (face, other)}
    embed(photo, vectors)
    FaceEmbedding.objects.update(component=5)
    before = list(FaceEmbedding.objects.order_by("pk").values("pk", "vector", "component"))

    # last bits differ between batches and devices
    embed(photo, {one: vector * np.float32(1.0001) for one, vector in vectors.items()}, version="v2")

    after = list(FaceEmbedding.objects.order_by("pk").values("pk", "vector", "component"))
    assert after == before
    assert set(FaceEmbedding.objects.values_list("version", flat=True)) == {"v2"}
    assert GroupLoss.objects.count() == 0
    kept = FaceEmbedding.objects.get(face=face)
    assert np.array_equal(np.array(kept.vector, np.float16), vectors[face].astype(np.float16))
    assert (kept.library_id, kept.model, kept.dimensions) == (photo.library_id, "m", 128)


def test_a_changed_vector_is_a_new_row_outside_of_any_group(photo: Photo) -> None:
    replace(photo, found(0.1), found(0.6))
    face, other = rows(photo)["chip 0.100"], rows(photo)["chip 0.600"]
    vectors = {one: np.ones(4, np.float32) for one in (face, other)}
    embed(photo, vectors)
    embed(photo, vectors, model="n")
    FaceEmbedding.objects.update(component=5)
    before = FaceEmbedding.objects.get(face=face, model="m")

    embed(photo, {face: np.array([1, 1, 1, 2], np.float32)}, version="v2")

    after = FaceEmbedding.objects.get(face=face, model="m")
    assert after.pk != before.pk
    assert (after.vector, after.component, after.version) == ([1, 1, 1, 2], None, "v2")
    assert list(GroupLoss.objects.values_list("model", "component")) == [("m", 5)]
    untouched = FaceEmbedding.objects.exclude(pk=after.pk).values_list("version", "component")
    assert list(untouched) == [("v1", 5)] * 3

    embed(photo, {face: np.ones(8, np.float32)}, version="v3")
    assert FaceEmbedding.objects.get(face=face, model="m").dimensions == 8


def test_the_database_refuses_doubled_and_untrue_vectors(photo: Photo) -> None:
    replace(photo, found(0.1))
    face = Face.objects.get()
    row = {"face": face, "library_id": photo.library_id, "model": "m", "version": "v1", "vector": [1.0, 2.0]}
    FaceEmbedding.objects.create(**row, dimensions=2)
    with pytest.raises(IntegrityError, match="face_embedding_face_model_unique"), transaction.atomic():
        FaceEmbedding.objects.create(**row, dimensions=2)
    with pytest.raises(IntegrityError, match="face_embedding_dimensions_true"), transaction.atomic():
        FaceEmbedding.objects.create(**{**row, "model": "n"}, dimensions=3)
    with pytest.raises(IntegrityError, match="face_photo_chip_unique"), transaction.atomic():
        factories.make_face(photo, chip_key="chip 0.100")
    assert FaceEmbedding.objects.count() == 1


def test_faces_are_kept_by_floors_that_can_be_moved(photo: Photo, settings: Settings) -> None:
    settings.FACE_MIN_CONFIDENCE, settings.FACE_MIN_QUALITY = 0.95, 0.2
    good = factories.make_face(photo, confidence=0.95, quality=0.2)
    doubtful = factories.make_face(photo, confidence=0.94, quality=0.9)
    factories.make_face(photo, confidence=0.99, quality=0.19)
    decided = factories.make_face(photo, confidence=0.5, quality=0.0, person_decided=True)
    assert set(Face.objects.kept()) == {good, decided}
    settings.FACE_MIN_CONFIDENCE = 0.9
    assert set(Face.objects.kept()) == {good, doubtful, decided}
