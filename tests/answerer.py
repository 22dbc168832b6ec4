"""A worker that answers questions, as a thread of the test: the engines are real, the processes are not apart."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.db.models.functions import Now

from processing import answering
from processing.models import WorkerPresence

QUEUES = ("ingest", "faces", "embeddings")


def be_there(*queues: str) -> WorkerPresence:
    """Say that a worker of these queues is there."""
    said = {"queues": list(queues), "started_at": Now(), "seen_at": Now()}
    return WorkerPresence.objects.update_or_create(name="w@here", defaults=said)[0]


@contextmanager
def answering_worker(*queues: str) -> Iterator[None]:
    """Answer what is asked of the workers of these queues, or of all, while the block runs."""
    served = queues or QUEUES
    be_there(*served)
    stop = threading.Event()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            while not stop.is_set():
                for queue in served:
                    answering.answer_pending(queue=queue)
                time.sleep(0.005)
        except BaseException as error:  # noqa: BLE001 - told to the test
            errors.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert errors == []
