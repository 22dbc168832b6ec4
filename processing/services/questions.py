"""Asking a worker something and waiting for its answer, for some seconds and no longer.

The web process loads no model and decodes no file. So it writes a question, rings for the queue whose workers can do
the next step, and looks at the row until it is answered. An idle worker comes at once, by the message; one that is at
work looks for questions between two claims. Nobody else keeps a question: whoever asked deletes it, answered or not.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from accounts.problems import DomainError
from processing import publish
from processing.models import Question, WorkerPresence

TASK = "answer"
Step = Question.Step
QUEUES = {Step.WORDS: "embeddings", Step.PICTURE: "ingest", Step.FACE: "faces"}
# the wait between two looks: short at first, since words take some milliseconds
FIRST_LOOK_SECONDS, LATER_LOOK_SECONDS = 0.005, 0.05


class SearchUnavailableError(DomainError):
    """No worker answers in time, or none is there; trying again is right. Nothing has changed."""

    code = "search_unavailable"
    wait = 5


class TextSearchUnavailableError(SearchUnavailableError):
    """As it is said of a search by words."""

    code = "text_search_unavailable"


class FaceSearchUnavailableError(SearchUnavailableError):
    """As it is said of a search by a face."""

    code = "face_search_unavailable"


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked: the first step, the models that it takes by name and weights hash, and its values.

    `unavailable` is what is raised where nobody answers within `seconds`.
    """

    step: Step
    needs: Mapping[str, str]
    asked: Mapping[str, Any]
    seconds: float
    unavailable: type[SearchUnavailableError]
    content: bytes | None = None


class RefusedQuestionError(Exception):
    """The worker could not answer for what lies in the question; `code` is stable."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


def ask(wanted: Ask) -> dict[str, Any]:
    """Ask, wait, and give the answer. Outside of any transaction: the worker has to see the question.

    Raises SearchUnavailableError as `wanted.unavailable` says, and RefusedQuestionError.
    """
    if connection.in_atomic_block:
        raise transaction.TransactionManagementError("A question within a transaction is seen by nobody.")
    queue = QUEUES[wanted.step]
    if not WorkerPresence.objects.taking_work().filter(queues__contains=queue).exists():
        raise wanted.unavailable(f"No worker of the queue {queue} is there. Try again later.")
    if Question.objects.filter(expires_at__gt=Now()).count() >= settings.SEARCHES_AT_ONCE:
        raise wanted.unavailable("Too many searches wait for a worker at this moment. Try again.")
    question = Question.objects.create(
        step=wanted.step,
        needs=dict(wanted.needs),
        asked=dict(wanted.asked),
        content=wanted.content,
        expires_at=Now() + timedelta(seconds=wanted.seconds),
    )
    try:
        ring(wanted.step)
        return _wait(question.pk, wanted)
    finally:
        Question.objects.filter(pk=question.pk).delete()


def ring(step: Step) -> None:
    """Tell an idle worker that a question waits for this step."""
    publish.send(task=TASK, queue=QUEUES[step], values={"queue": QUEUES[step]})


def forget_expired() -> int:
    """Delete the questions of those who were killed while they waited; gives how many. Called every few seconds."""
    return Question.objects.filter(expires_at__lt=Now()).delete()[0]


def _wait(question_id: UUID, wanted: Ask) -> dict[str, Any]:
    until = time.monotonic() + wanted.seconds
    pause = FIRST_LOOK_SECONDS
    while time.monotonic() < until:
        time.sleep(pause)
        pause = min(2 * pause, LATER_LOOK_SECONDS)
        found = Question.objects.filter(pk=question_id).values("step", "answer", "error_code", "error_detail").first()
        if found is None:
            break  # PostgreSQL was restarted after a crash
        if found["step"] == Step.ANSWERED:
            return found["answer"]
        if found["step"] == Step.REFUSED:
            raise RefusedQuestionError(found["error_code"], found["error_detail"])
    raise wanted.unavailable(f"No worker has answered within {wanted.seconds:g} s. Try again.")
