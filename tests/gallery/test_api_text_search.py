"""Search by words: ranked by the image model in use, within what the caller may see, with a worker that reads them."""

import threading
from typing import Any

import factories
import numpy as np
import pytest
from answerer import answering_worker, be_there
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts.models import Library
from photos.models import ImageEmbedding, Photo, TextEmbedding
from photos.services import text_embeddings, trash
from processing.models import ModelSelection, Question

pytestmark = pytest.mark.django_db(transaction=True)

PHOTOS, MODEL = "/api/v1/photos", "clip-vit-b-32-laion2b"
WORDS = "a red car in snow"


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def visitor(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "visitor"))


@pytest.fixture
def model_in_use(tiny_clip: dict[str, Any], settings: Settings) -> ModelSelection:
    settings.MODELS_DIR = tiny_clip["folder"] / "models"
    return ModelSelection.objects.create(
        task="image_embedding", model=MODEL, weights_hash=tiny_clip["weights_hash"], in_use=True
    )


@pytest.fixture
def vector(tiny_clip: dict[str, Any]) -> np.ndarray:
    """What open_clip makes of WORDS."""
    return tiny_clip["texts_vectors"][tiny_clip["texts"].index(WORDS)]


def photo_at(library: Library, vector: np.ndarray, share: float, **values: Any) -> Photo:
    """Make a photo whose vector is that of the words, but for a share of something else."""
    other = np.roll(vector, 1)
    mixed = (1 - share) * vector + share * other
    photo = factories.make_photo(library, **values)
    ImageEmbedding.objects.create(
        photo=photo, library=library, model=MODEL, version="1", dimensions=512,
        vector=(mixed / np.linalg.norm(mixed)).tolist(),
    )  # fmt: skip
    return photo


def search(client: Client, query: str = "", words: str = WORDS) -> Any:
    return client.get(f"{PHOTOS}?text={words.replace(' ', '+')}{query}")


def names(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [one["id"] for one in response.json()["results"]]


def test_words_rank_photos(visitor: Client, library: Library, model_in_use: ModelSelection, vector: np.ndarray) -> None:
    far, near, middle = (photo_at(library, vector, share) for share in (0.9, 0, 0.4))
    factories.make_photo(library)  # not embedded yet
    with answering_worker("embeddings"):
        response = search(visitor)
    assert names(response) == [str(near.pk), str(middle.pk), str(far.pk)]
    found = response.json()
    assert (found["next"], found["previous"]) == (None, None)
    distances = [one["distance"] for one in found["results"]]
    assert distances[0] == pytest.approx(0, abs=1e-3)
    assert distances == sorted(distances)
    # all else is what a list says of a photo
    listed = {one["id"]: one for one in visitor.get(PHOTOS).json()["results"]}
    for one in found["results"]:
        assert {**listed[one["id"]], "distance": one["distance"]} == one
    # nothing is left of the question, and the next search needs nobody
    assert Question.objects.count() == 0
    assert names(search(visitor, "&limit=1", words="  A red CAR  in snow ")) == [str(near.pk)]


def test_the_vector_is_that_of_open_clip(visitor: Client, model_in_use: ModelSelection, vector: np.ndarray) -> None:
    with answering_worker("embeddings"):
        assert search(visitor).status_code == 200
    kept = TextEmbedding.objects.get()
    np.testing.assert_allclose(kept.vector, vector, rtol=0, atol=1e-3)
    assert (kept.model, kept.weights_hash, kept.dimensions) == (MODEL, model_in_use.weights_hash, 512)
    # the words themselves are nowhere
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM photos_textembedding t WHERE t::text LIKE %s", ["%snow%"])
        assert cursor.fetchone() == (0,)


def test_filters_and_visibility_hold(
    visitor: Client, library: Library, model_in_use: ModelSelection, vector: np.ndarray
) -> None:
    text_embeddings.keep(words=WORDS, model=MODEL, weights_hash=model_in_use.weights_hash, vector=vector.tolist())
    canon, nikon = photo_at(library, vector, 0.5), photo_at(library, vector, 0.1)
    factories.make_metadata(canon, camera_make="Canon")
    factories.make_metadata(nikon, camera_make="Nikon")
    photo_at(factories.make_library(), vector, 0)
    trash.move_to_trash(photo_ids=[photo_at(library, vector, 0).pk])
    other_model = factories.make_photo(library)
    ImageEmbedding.objects.create(
        photo=other_model, library=library, model="mobileclip-s1", version="1", dimensions=512, vector=vector.tolist()
    )
    assert names(search(visitor)) == [str(nikon.pk), str(canon.pk)]
    assert names(search(visitor, "&camera_make=Canon")) == [str(canon.pk)]
    assert names(search(visitor, f"&library={library.pk}&camera_make=Nikon")) == [str(nikon.pk)]
    assert names(search(visitor, "&state=attention")) == []
    stranger = factories.client_of(factories.make_member(factories.make_library(), "admin"))
    assert names(search(stranger)) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("text=", "text"),
        ("text=%20%09", "text"),
        ("text=" + "x" * 501, "text"),
        ("text=a%00b", "text"),
        ("text=snow&limit=201", "limit"),
        ("text=snow&limit=0", "limit"),
        ("text=snow&trashed=true", "text"),
        ("text=snow&state=asleep", "state"),
    ],
)
def test_what_cannot_be_searched_is_refused(query: str, field: str, visitor: Client, model_in_use: Any) -> None:
    response = visitor.get(f"{PHOTOS}?{query}")
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, field)
    assert Question.objects.count() == TextEmbedding.objects.count() == 0


def test_without_a_model_in_use_it_is_said(visitor: Client) -> None:
    response = search(visitor)
    assert (response.status_code, response.json()["code"]) == (409, "model_not_installed")


def test_without_a_worker_it_is_said_at_once(visitor: Client, model_in_use: Any) -> None:
    be_there("ingest", "faces")
    response = search(visitor)
    assert (response.status_code, response.json()["code"]) == (503, "text_search_unavailable")
    assert response["Retry-After"] == "5"
    assert "queue embeddings" in response.json()["detail"]
    assert Question.objects.count() == TextEmbedding.objects.count() == 0


def test_a_worker_that_does_not_answer_is_not_waited_for(
    visitor: Client, model_in_use: Any, settings: Settings
) -> None:
    settings.SEARCH_TEXT_SECONDS = 0.2
    be_there("embeddings")
    response = search(visitor)
    assert (response.status_code, response.json()["code"]) == (503, "text_search_unavailable")
    assert "within 0.2 s" in response.json()["detail"]
    assert Question.objects.count() == TextEmbedding.objects.count() == 0


def test_a_worker_with_other_weights_leaves_it_alone(
    visitor: Client, model_in_use: ModelSelection, settings: Settings
) -> None:
    settings.SEARCH_TEXT_SECONDS = 0.3
    ModelSelection.objects.update(weights_hash="cd" * 32)
    with answering_worker("embeddings"):
        response = search(visitor)
    assert (response.status_code, response.json()["code"]) == (503, "text_search_unavailable")
    assert TextEmbedding.objects.count() == 0


def test_more_searches_than_may_wait_are_refused_at_once(
    visitor: Client, model_in_use: Any, settings: Settings
) -> None:
    settings.SEARCHES_AT_ONCE, settings.SEARCH_TEXT_SECONDS = 2, 1.5
    be_there("embeddings")
    library_client = factories.client_of(factories.make_member(factories.make_library(), "visitor"))
    threads = [threading.Thread(target=in_a_thread, args=(library_client, f"words {number}")) for number in range(2)]
    for thread in threads:
        thread.start()
    while Question.objects.count() < 2:
        pass
    response = search(visitor)
    assert (response.status_code, response.json()["code"]) == (503, "text_search_unavailable")
    assert response.json()["detail"].startswith("Too many searches")
    for thread in threads:
        thread.join()
    assert Question.objects.count() == 0


def in_a_thread(client: Client, words: str) -> None:
    try:
        assert search(client, words=words).status_code == 503
    finally:
        connection.close()


def test_a_search_costs_the_same_however_long_its_list(
    visitor: Client, library: Library, model_in_use: ModelSelection, vector: np.ndarray
) -> None:
    text_embeddings.keep(words=WORDS, model=MODEL, weights_hash=model_in_use.weights_hash, vector=vector.tolist())
    photo_at(library, vector, 0)

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            names(search(visitor))
        return len(queries)

    search(visitor)
    few = count()
    for share in (0.1, 0.2, 0.3):
        factories.make_rendition(photo_at(library, vector, share), "preview")
    assert count() == few
