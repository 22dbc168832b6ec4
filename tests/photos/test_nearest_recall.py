"""Nearest vectors by the index, against all of them measured: recall, filters, and when the index is asked at all."""

import factories
import numpy as np
import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from pgvector.django import L2Distance

from accounts.models import Library
from photos.models import Face, FaceEmbedding, Photo
from photos.search import nearest as nearest_module
from photos.search.nearest import nearest

pytestmark = pytest.mark.django_db

MODEL, DIMENSIONS, COUNT = "dlib-resnet-v1", 128, 20_000
LIMIT, QUERIES = 100, 40


def clustered(numbers: np.random.Generator, count: int) -> np.ndarray:
    """Give vectors as faces have them: people, and a few faces around each, on a surface of some twenty dimensions.

    Numbers without any such structure are what no graph serves well, and no model gives.
    """
    surface = np.random.default_rng(5).normal(size=(20, DIMENSIONS))
    people = numbers.normal(size=(count // 10, len(surface))) @ surface
    people /= np.linalg.norm(people, axis=1, keepdims=True)
    found = people[numbers.integers(len(people), size=count)] + numbers.normal(scale=0.03, size=(count, DIMENSIONS))
    return found.astype(np.float16).astype(np.float32)


def store(library: Library, vectors: np.ndarray) -> list[Face]:
    photo = factories.make_photo(library)
    faces = Face.objects.bulk_create(
        Face(
            photo=photo, version="1", left=0, top=0, right=1, bottom=1, confidence=1, quality=1, chip_key=f"{number}",
            chip_width=1, chip_height=1, chip_box=[], chip_landmarks=[],
        )
        for number in range(len(vectors))
    )  # fmt: skip
    FaceEmbedding.objects.bulk_create(
        (
            FaceEmbedding(
                face=face, library=library, model=MODEL, version="1", dimensions=DIMENSIONS, vector=vector.tolist()
            )
            for face, vector in zip(faces, vectors, strict=True)
        ),
        batch_size=1000,
    )
    return faces


def recall(rows: QuerySet, faces: list[Face], vectors: np.ndarray, queries: np.ndarray) -> float:
    keys = np.array([face.pk for face in faces])
    shares = []
    for query in queries:
        found = nearest(rows, distance=L2Distance, vector=query.tolist(), columns=["face_id"], limit=LIMIT)
        distances = [row[-1] for row in found]
        assert distances == sorted(distances)
        true = keys[np.argsort(np.linalg.norm(vectors - query, axis=1))[:LIMIT]]
        shares.append(len({row[0] for row in found} & set(true)) / LIMIT)
    return float(np.mean(shares))


def test_the_index_finds_what_is_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = np.random.default_rng(11)
    vectors = clustered(numbers, COUNT)
    queries = vectors[numbers.choice(COUNT, QUERIES)] + numbers.normal(scale=0.02, size=(QUERIES, DIMENSIONS))
    # tests before this one have left dead vectors of odd kinds, which a graph keeps until it is vacuumed
    with connection.cursor() as cursor:
        cursor.execute("REINDEX INDEX face_embedding_dlib_hnsw")
    large, small = factories.make_library(), factories.make_library()
    split = COUNT - 1000
    faces = store(large, vectors[:split]) + store(small, vectors[split:])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE photos_faceembedding")
        cursor.execute("ANALYZE photos_face")
    everything = FaceEmbedding.objects.filter(model=MODEL)

    monkeypatch.setattr(nearest_module, "EXACT_ROWS", 500)
    with CaptureQueriesContext(connection) as asked:
        assert recall(everything, faces, vectors, queries) >= 0.98
    # by the index, and by nothing else
    assert not any("+ 0.0" in one["sql"] for one in asked)
    assert "face_embedding_dlib_hnsw" in plan_by_index(everything, queries[0])

    # a twentieth of all passes the filter: the index alone would give five of a hundred
    of_small = everything.filter(face__in=Face.objects.filter(photo__in=Photo.objects.filter(library=small)))
    assert recall(of_small, faces[split:], vectors[split:], queries) >= 0.98

    # where few pass, all of them are measured
    monkeypatch.setattr(nearest_module, "EXACT_ROWS", 2000)
    with CaptureQueriesContext(connection) as asked:
        assert recall(of_small, faces[split:], vectors[split:], queries) >= 0.999
    assert not any("hnsw" in one["sql"] for one in asked)


def plan_by_index(rows: QuerySet, query: np.ndarray) -> str:
    with CaptureQueriesContext(connection) as asked:
        nearest(rows, distance=L2Distance, vector=query.tolist(), columns=["face_id"], limit=LIMIT)
    ordered = next(one["sql"] for one in asked if "ORDER BY" in one["sql"])
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {ordered}")
        return "\n".join(row[0] for row in cursor.fetchall())


def test_where_the_index_runs_out_all_that_pass_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = np.random.default_rng(12)
    vectors = clustered(numbers, 300)
    library, other = factories.make_library(), factories.make_library()
    faces = store(library, vectors[:30])
    store(other, vectors[30:])
    monkeypatch.setattr(nearest_module, "EXACT_ROWS", 10)
    rows = FaceEmbedding.objects.filter(model=MODEL, library=library)
    found = nearest(rows, distance=L2Distance, vector=vectors[0].tolist(), columns=["face_id"], limit=LIMIT)
    assert {row[0] for row in found} == {face.pk for face in faces}
    assert found[0] == (faces[0].pk, pytest.approx(0, abs=1e-3))


def test_the_settings_of_a_search_end_with_it() -> None:
    store(factories.make_library(), clustered(np.random.default_rng(1), 20))
    rows = FaceEmbedding.objects.filter(model=MODEL)
    nearest(rows, distance=L2Distance, vector=[0.0] * DIMENSIONS, columns=["face_id"], limit=5)
    with connection.cursor() as cursor:
        cursor.execute("SELECT vector_dims('[1]'::vector), current_setting('hnsw.ef_search')")
        assert cursor.fetchone() == (1, "40")
