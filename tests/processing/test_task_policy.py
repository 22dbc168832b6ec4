"""What a worker's parent does when a child of its pool dies."""

import base64
import json
import os
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import redis
from billiard.einfo import ExceptionInfo
from billiard.exceptions import WorkerLostError
from kombu import Message

from processing import ledger, tasks
from processing.models import StageRun
from processing.task_policy import LedgerRequest

pytestmark = pytest.mark.django_db


def request_of(task: str, **values: Any) -> LedgerRequest:
    """A request as a worker makes it of a message."""
    identity = str(uuid.uuid4())
    headers = {"id": identity, "task": task, "lang": "py", "root_id": identity, "argsrepr": "", "kwargsrepr": ""}
    body = [[], {"v": 1, "ids": [], **values}, {}]
    message = Message(
        body=json.dumps(body), headers=headers, content_type="application/json", content_encoding="utf-8",
        properties={"correlation_id": identity, "reply_to": None}, delivery_info={"routing_key": "any"},
    )  # fmt: skip
    return LedgerRequest(message, app=tasks.exif.app, task=getattr(tasks, task), hostname="w@here")


def lose(request: LedgerRequest) -> None:
    """Let the parent see that its child was killed."""
    try:
        _die()
    except WorkerLostError:
        request.on_failure(ExceptionInfo(), send_failed_event=False)


def _die() -> None:
    raise WorkerLostError("Worker exited prematurely: signal 9 (SIGKILL) Job: 1.")


def messages(broker: redis.Redis, queue: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for one in broker.lrange(queue, 0, -1):
        envelope = json.loads(one)
        found.append((envelope["headers"]["task"], json.loads(base64.b64decode(envelope["body"]))[1]))
    return found


def test_a_child_that_died_before_it_claimed_has_its_hint_passed_on_once(broker: redis.Redis) -> None:
    lose(request_of("exif", ids=["a photo"]))
    [(task, values)] = messages(broker, "ingest")
    assert (task, values) == ("exif", {"v": 1, "ids": ["a photo"], "passed_on": True})
    broker.flushdb()
    # what kills a child before it can claim would kill its successors without a pause
    lose(request_of("exif", **{name: value for name, value in values.items() if name != "v"}))
    assert messages(broker, "ingest") == []


def test_of_upkeep_nothing_is_passed_on(broker: redis.Redis) -> None:
    lose(request_of("reconcile"))
    assert broker.keys("*") == []


@pytest.mark.django_db(transaction=True)
def test_of_two_processes_at_one_task_the_lost_ones_runs_come_back(
    make_run: Callable[..., StageRun], broker: redis.Redis
) -> None:
    request = request_of("exif")
    for _ in range(2):
        make_run()
        ledger.claim(stage="exif", versions=["v1"], limit=1, task_id=request.id, worker="w@here")
    others = StageRun.objects.first()
    # the message was given out again while the first was at work
    StageRun.objects.filter(pk=others.pk).update(process_id=4_000_000)
    request.on_accepted(os.getpid(), time.monotonic())
    lose(request)
    assert sorted(StageRun.objects.values_list("state", "error_code")) == [
        ("pending", "process_killed"),
        ("running", ""),
    ]
    assert StageRun.objects.get(state="running").pk == others.pk
