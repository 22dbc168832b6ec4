"""Questions to workers: taken once, answered between two claims, refused without harm, and gone whatever happens."""

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import factories
import numpy as np
import photo_samples
import pytest
from answerer import be_there
from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now
from pytest_django import Settings

from accounts.models import Library
from photos.models import ImageEmbedding, TextEmbedding
from photos.services import text_embeddings
from processing import answering, reconciler, sweeps
from processing.engines import installation
from processing.engines.installation import InstalledModel
from processing.models import ModelSelection, Question, WorkerPresence
from processing.services import searching
from processing.services.questions import TextSearchUnavailableError
from processing.services.selection import select_model

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]

NAME = "clip-vit-b-32-laion2b"
Step = Question.Step


@pytest.fixture
def installed(tiny_clip: dict[str, Any], settings: Settings) -> InstalledModel:
    settings.MODELS_DIR = tiny_clip["folder"] / "models"
    return installation.installed(NAME, settings.MODELS_DIR)


def words(installed: InstalledModel, **values: Any) -> Question:
    """Leave a question that waits for a worker of the queue `embeddings`."""
    asked = {"step": Step.WORDS, "needs": {NAME: installed.weights_hash}, "asked": {"words": "snow"}}
    return Question.objects.create(**{**asked, "expires_at": Now() + timedelta(seconds=60), **values})


def test_a_question_is_answered(installed: InstalledModel) -> None:
    question = words(installed)
    assert answering.answer_pending(queue="ingest") == answering.answer_pending(queue="faces") == 0
    assert answering.answer_pending(queue="embeddings") == 1
    question.refresh_from_db()
    assert (question.step, len(question.answer["vector"]), question.content) == (Step.ANSWERED, 512, None)
    assert np.linalg.norm(question.answer["vector"]) == pytest.approx(1, abs=1e-5)
    assert answering.answer_pending(queue="embeddings") == 0


def test_one_that_is_taken_expired_or_for_other_weights_is_left_alone(installed: InstalledModel) -> None:
    words(installed, taken_at=Now())
    words(installed, expires_at=Now() - timedelta(seconds=1))
    words(installed, needs={NAME: "cd" * 32})
    words(installed, needs={NAME: installed.weights_hash, "another": "x"})
    assert answering.answer_pending(queue="embeddings") == 0
    assert set(Question.objects.values_list("step", flat=True)) == {Step.WORDS}


def test_what_cannot_be_answered_is_refused_and_said(installed: InstalledModel) -> None:
    broken, sound = words(installed, asked={}), words(installed)
    assert answering.answer_pending(queue="embeddings") == 2
    broken.refresh_from_db()
    sound.refresh_from_db()
    assert (broken.step, broken.error_code, broken.answer) == (Step.REFUSED, "unexpected_error", None)
    assert sound.step == Step.ANSWERED


def test_two_workers_take_two_questions(installed: InstalledModel) -> None:
    for _ in range(6):
        words(installed)
    taken: list[int] = []

    def work() -> None:
        try:
            taken.append(answering.answer_pending(queue="embeddings"))
        finally:
            connection.close()

    # loaded before: a model belongs to one thread at a time
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
        thread.join()
    assert sum(taken) == 6


def test_a_worker_that_is_at_work_answers_between_two_claims(library: Library, installed: InstalledModel) -> None:
    select_model(installed=installed, in_use=True)
    photo_samples.take_in(library, photo_samples.picture())
    photo_samples.run("renditions")
    question = words(installed)
    assert photo_samples.run("image_embedding") == 1
    question.refresh_from_db()
    assert question.step == Step.ANSWERED
    assert ImageEmbedding.objects.count() == 1


def test_a_picture_is_a_preview_after_its_first_step(installed: InstalledModel) -> None:
    picture = factories.image_bytes("PNG", size=(3000, 200))
    question = words(installed, step=Step.PICTURE, content=picture, taken_at=None)
    assert answering.answer_pending(queue="embeddings") == answering.answer_pending(queue="faces") == 0
    assert answering.answer_pending(queue="ingest") == 1
    question.refresh_from_db()
    assert (question.step, question.taken_at) == (Step.FACE, None)
    # of our own making: a JPEG of the preview's size
    assert bytes(question.content[:3]) == b"\xff\xd8\xff"


def test_what_nobody_waits_for_any_more_is_swept(installed: InstalledModel) -> None:
    words(installed, step=Step.PICTURE, content=b"somebody's face", expires_at=Now() - timedelta(seconds=1))
    kept = words(installed)
    sweeps.begin("tend", every=1)
    reconciler.tend()
    assert list(Question.objects.all()) == [kept]


def test_a_late_answer_finds_nobody(installed: InstalledModel) -> None:
    be_there("embeddings")
    select_model(installed=installed, in_use=True)
    with pytest.raises(TextSearchUnavailableError), patience(0.05):
        searching.vector_of_words("snow")
    assert Question.objects.count() == 0
    assert answering.answer_pending(queue="embeddings") == 0
    assert TextEmbedding.objects.count() == 0


@contextlib.contextmanager
def patience(seconds: float) -> Iterator[None]:
    before = settings.SEARCH_TEXT_SECONDS
    settings.SEARCH_TEXT_SECONDS = seconds
    try:
        yield
    finally:
        settings.SEARCH_TEXT_SECONDS = before


def test_within_a_transaction_nothing_is_asked(installed: InstalledModel) -> None:
    be_there("embeddings")
    select_model(installed=installed, in_use=True)
    with pytest.raises(transaction.TransactionManagementError), transaction.atomic():
        searching.vector_of_words("snow")
    assert Question.objects.count() == 0


def test_questions_are_in_no_log_and_no_backup() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relpersistence, t.relpersistence, c.reloptions FROM pg_class c JOIN pg_class t "
            "ON t.oid = c.reltoastrelid WHERE c.relname = 'processing_question'"
        )
        table, toast, options = cursor.fetchone()
    assert (table, toast) == ("u", "u")
    assert "autovacuum_vacuum_threshold=0" in options


def test_vectors_of_words_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_embeddings, "KEPT", 3)
    named = {"model": NAME, "weights_hash": "ab" * 32}
    for number in range(6):
        text_embeddings.keep(words=f"words {number}", vector=[1.0, number], **named)
    assert TextEmbedding.objects.count() == 3
    assert text_embeddings.find("WORDS  5", **named) == [1.0, 5.0]
    assert text_embeddings.find("words 1", **named) is None
    assert text_embeddings.find("words 5", model=NAME, weights_hash="cd" * 32) is None
    # kept by somebody else at the same time
    text_embeddings.keep(words="words 5", vector=[0.0, 1.0], **named)
    assert text_embeddings.find("words 5", **named) == [1.0, 5.0]


@pytest.fixture
def real_worker(
    tmp_path: Path, process_environment: dict[str, str], installed: InstalledModel
) -> Iterator[subprocess.Popen]:
    """A real worker of the queue `embeddings`, with a child of its own that loads the models."""
    log = tmp_path / "worker.log"
    command = [sys.executable, "-m", "celery", "-A", "config", "worker", "-Q", "embeddings", "-c", "1", "-n", "w@here"]
    environment = process_environment | {"DARKROOM_TEST_MODELS_DIR": str(installed.folder.parent)}
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=settings.BASE_DIR, env=environment, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 120
        while not WorkerPresence.objects.exists():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        assert process.wait(60) == 0, log.read_text()


def test_a_real_worker_reads_the_words_of_a_search(
    real_worker: subprocess.Popen, process_environment: dict[str, str], installed: InstalledModel, tiny_clip: Any
) -> None:
    ModelSelection.objects.create(task="image_embedding", model=NAME, weights_hash=installed.weights_hash, in_use=True)
    library = factories.make_library()
    photo = factories.make_photo(library)
    text = "Two PEOPLE  on a\tbeach!"
    vector = tiny_clip["texts_vectors"][tiny_clip["texts"].index(text)]
    ImageEmbedding.objects.create(
        photo=photo, library=library, model=NAME, version="1", dimensions=512, vector=vector.tolist()
    )
    client = factories.client_of(factories.make_member(library, "visitor"))
    # this process rings at the broker that the worker hears
    ring_at(process_environment["REDIS_URL"])
    with patience(60):
        response = client.get("/api/v1/photos", {"text": text})
    assert response.status_code == 200, response.content
    [found] = response.json()["results"]
    assert (found["id"], found["distance"]) == (str(photo.pk), pytest.approx(0, abs=1e-3))
    # warm, with words that are new to it: by the message, since nothing else is at hand to look in between
    began = time.monotonic()
    with patience(20):
        assert client.get("/api/v1/photos", {"text": "the sea at dusk"}).status_code == 200
    assert time.monotonic() - began < 20
    assert TextEmbedding.objects.count() == 2
    assert Question.objects.count() == 0


def ring_at(address: str) -> None:
    from processing import publish

    settings.CELERY_BROKER_URL = address
    publish.forget_connection()


@pytest.fixture(autouse=True)
def own_broker() -> Iterator[None]:
    from processing import publish

    before = settings.CELERY_BROKER_URL
    yield
    settings.CELERY_BROKER_URL = before
    publish.forget_connection()
