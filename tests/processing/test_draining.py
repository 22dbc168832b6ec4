"""Draining: what runs is finished, nothing new is taken, and what a person has paused stays paused."""

import io
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import uuid4

import factories
import pytest
import redis
from concurrency import in_a_thread, wait_until_blocked
from django.core.management import CommandError, call_command
from django.db import transaction
from django.db.models.functions import Now

from accounts.models import Library
from processing import backlog, ledger
from processing.management.commands import drain
from processing.models import LibraryRun, RunState, StagePause, StageRun, WorkerPresence
from processing.services import draining

pytestmark = pytest.mark.django_db(transaction=True)

ENDS = "Work stays paused: `manage.py drain --end` lets it go on."
RESTS = f"Nothing runs. {ENDS}"

MakeRun = Callable[..., StageRun]


@pytest.fixture(autouse=True)
def many_looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody waits long for what takes moments here."""
    monkeypatch.setattr(drain, "LOOK_EVERY_SECONDS", 0.02)
    return


def say(*arguments: object) -> list[str]:
    output = io.StringIO()
    call_command(*map(str, arguments), stdout=output)
    return [line for line in output.getvalue().splitlines() if line and not line.startswith("Waiting")]


def paused() -> dict[str, str]:
    return dict(StagePause.objects.values_list("work", "reason"))


def start(run: StageRun | LibraryRun, worker: str = "w@here") -> None:
    lease = {"lease_token": uuid4(), "lease_until": Now() + timedelta(minutes=1), "started_at": Now()}
    type(run).objects.filter(pk=run.pk).update(state=RunState.RUNNING, worker=worker, **lease)


def finish(run: StageRun) -> None:
    done = {"state": RunState.DONE, "finished_at": Now(), "lease_token": None, "lease_until": None}
    StageRun.objects.filter(pk=run.pk).update(**done)


def test_everything_is_paused_and_goes_on_again(make_run: MakeRun, broker: redis.Redis) -> None:
    everything = sorted(backlog.queues())
    assert {"exif", "renditions", "face_detection", "face_embedding", "people"} <= set(everything)
    assert say("drain") == [f"Paused: {', '.join(everything)}.", RESTS]
    assert paused() == dict.fromkeys(everything, draining.REASON)
    make_run()
    assert ledger.claim(stage="exif", versions=["v1"], limit=1, task_id="t", worker="w") == []
    assert say("drain") == [f"Paused: {', '.join(everything)}.", RESTS]
    broker.flushdb()

    assert say("drain", "--end") == [f"Goes on: {', '.join(everything)}."]
    assert paused() == {}
    assert broker.llen("ingest") > 0
    assert len(ledger.claim(stage="exif", versions=["v1"], limit=1, task_id="t", worker="w")) == 1
    assert say("drain", "--end") == ["Goes on: nothing was drained."]


def test_what_a_person_has_paused_is_left_alone() -> None:
    person = factories.make_user()
    StagePause.objects.create(work="exif", reason="the disk is being changed", paused_by=person)
    StagePause.objects.create(work="people", reason=draining.REASON, paused_by=person)
    before = list(StagePause.objects.order_by("work").values())
    say("drain")
    assert list(StagePause.objects.filter(work__in=["exif", "people"]).order_by("work").values()) == before
    say("drain", "--end")
    assert list(StagePause.objects.order_by("work").values()) == before


def test_a_circuit_does_not_lift_what_is_drained(make_run: MakeRun) -> None:
    StagePause.objects.create(work="exif", error_code="storage_unavailable", probe_at=Now())
    make_run()
    say("drain")
    assert (StagePause.objects.get(work="exif").is_circuit, paused()["exif"]) == (False, draining.REASON)
    assert ledger.claim(stage="exif", versions=["v1"], limit=1, task_id="t", worker="w") == []
    say("drain", "--end")
    assert paused() == {}


def test_it_waits_for_what_runs(make_run: MakeRun, library: Library) -> None:
    run = make_run()
    start(run)
    waiting = in_a_thread(say, "drain", "--timeout", 20)
    deadline = time.monotonic() + 10
    while not paused():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.2)
    assert not waiting.done()
    finish(run)
    assert waiting.result(10)[-1] == RESTS


def test_what_still_runs_when_the_time_is_over_is_said(make_run: MakeRun, library: Library) -> None:
    for _ in range(2):
        start(make_run())
    start(make_run(stage="renditions"))
    start(LibraryRun.objects.create(library=library, kind="people", version="v", queued_at=Now()))
    with pytest.raises(CommandError) as refused:
        say("drain", "--timeout", 0.1)
    assert str(refused.value) == f"Still running after 0.1 s: 2 of exif, 1 of people, 1 of renditions. {ENDS}"
    assert refused.value.returncode == 1
    assert "exif" in paused()


def test_one_worker_takes_nothing_new(make_run: MakeRun, broker: redis.Redis) -> None:
    for name in ("a@here", "b@here"):
        WorkerPresence.objects.create(name=name, queues=["ingest"], started_at=Now(), seen_at=Now())
    start(make_run(), worker="b@here")
    make_run(), make_run()
    assert say("drain", "--worker", "a@here") == [
        "a@here takes nothing new.",
        "Nothing runs. a@here takes nothing new: `manage.py drain --worker a@here --end` lets it.",
    ]
    assert paused() == {}
    since = dict(WorkerPresence.objects.values_list("name", "draining_since"))
    assert since["a@here"] is not None
    assert since["b@here"] is None

    def claim(worker: str) -> int:
        return len(ledger.claim(stage="exif", versions=["v1"], limit=1, task_id="t", worker=worker))

    assert (claim("a@here"), claim("b@here")) == (0, 1)
    say("drain", "--worker", "a@here")
    assert WorkerPresence.objects.get(name="a@here").draining_since == since["a@here"]
    with pytest.raises(CommandError, match=r"Still running after 0 s: 2 of exif\."):
        say("drain", "--worker", "b@here", "--timeout", 0)

    broker.flushdb()
    assert say("drain", "--worker", "a@here", "--end") == ["a@here takes work again."]
    assert WorkerPresence.objects.get(name="a@here").draining_since is None
    assert (broker.llen("ingest"), broker.llen("faces")) == (2, 0)
    assert claim("a@here") == 1


def test_a_worker_that_there_is_not_is_said() -> None:
    WorkerPresence.objects.create(name="a@here", started_at=Now(), seen_at=Now())
    for arguments in ([], ["--end"]):
        with pytest.raises(CommandError) as refused:
            say("drain", "--worker", "b@here", *arguments)
        assert str(refused.value) == "There is no worker named b@here. There are: a@here."
    assert WorkerPresence.objects.get().draining_since is None


def test_a_stage_is_paused_and_resumed_by_hand(broker: redis.Redis) -> None:
    assert say("pause", "exif", "--reason", "the disk is being changed") == ["exif is paused."]
    assert paused() == {"exif": "the disk is being changed"}
    assert draining.end() == []
    assert say("resume", "exif") == ["exif goes on."]
    assert say("resume", "exif") == ["exif was not paused."]
    assert paused() == {}
    for command in ("pause", "resume"):
        with pytest.raises(CommandError, match="There is no stage and no library work named nothing"):
            say(command, "nothing")
    assert paused() == {}


def test_nobody_pauses_for_the_reason_that_a_drain_lifts() -> None:
    with pytest.raises(CommandError, match=r"is the reason of `manage\.py drain`.+other words"):
        say("pause", "exif", "--reason", f" {draining.REASON} ")
    assert paused() == {}


@pytest.mark.parametrize(
    ("arguments", "stays"),
    [
        ([], ENDS),
        (["--worker", "a@here"], "a@here takes nothing new: `manage.py drain --worker a@here --end` lets it."),
    ],
)
def test_who_interrupts_it_is_told_what_stays(
    arguments: list[str], stays: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    WorkerPresence.objects.create(name="a@here", started_at=Now(), seen_at=Now())

    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(draining, "running", interrupted)
    with pytest.raises(CommandError) as refused:
        say("drain", *arguments)
    assert (str(refused.value), refused.value.returncode) == (f"Interrupted. {stays}", 130)


def test_one_quiet_look_is_not_believed_at_the_deadline_either(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = [Counter(), Counter(exif=1), Counter(), Counter()]
    monkeypatch.setattr(draining, "running", lambda **_: looks.pop(0))
    with pytest.raises(CommandError, match=r"Still running after 0 s: 1 of exif\."):
        say("drain", "--timeout", 0)
    assert len(looks) == 2
    assert say("drain", "--timeout", 0)[-1] == RESTS
    assert looks == []


def test_a_circuit_that_pauses_at_the_same_moment_is_taken_over() -> None:
    with transaction.atomic():
        StagePause.objects.create(work="exif", error_code="storage_unavailable", probe_at=Now())
        drained = in_a_thread(draining.begin)
        wait_until_blocked()
        assert not drained.done()
    assert "exif" in drained.result(10)
    assert (paused()["exif"], StagePause.objects.get(work="exif").is_circuit) == (draining.REASON, False)
    draining.end()
    assert paused() == {}
