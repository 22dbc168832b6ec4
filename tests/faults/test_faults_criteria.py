"""The faults' own criteria: each must be able to say no."""

import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from faults.events import HISTORY, INJECTIONS, Event, EventFile
from faults.fault import Injected, Judgement
from faults.hearing import who_heard
from faults.installation import Timing
from faults.kinds.beats import TwoBeats
from faults.kinds.broker import RedisFlap, RedisWipe
from faults.kinds.clocks import ClockSkew, Turn
from faults.kinds.erasing import has_gone_on
from faults.kinds.kills import ChildKill, WorkerKill
from faults.kinds.stopping import SigtermRolling
from faults.kinds.storage import DiskFull, was_noticed
from faults.measures import recoveries
from faults.ordered import Ordered, harmless
from faults.uploading import Upload

RUN = {"run": "a", "subject": "p", "attempt": 1}
AGAIN = {**RUN, "attempt": 2}


@pytest.fixture
def world(tmp_path: Path) -> SimpleNamespace:
    """What judges read: the events of an installation, and its times."""
    return SimpleNamespace(
        history=EventFile(tmp_path / HISTORY),
        injections=EventFile(tmp_path / INJECTIONS),
        timing=Timing(),
        store_folder=tmp_path / "photos",
    )


def claim(t: float, *runs: Event, pid: int = 1, stage: str = "exif", worker: str = "ingest1", **more: Any) -> Event:
    event = {"t": t, "kind": "claim", "pid": pid, "stage": stage, "worker": f"{worker}@faults", "task": "t"}
    return {**event, "runs": list(runs), **more}


def strike(t: float, point: str, *runs: Event, rung_by: Sequence[str] = ("p",)) -> Event:
    where = {"point": point, "stage": "exif", "worker": "ingest1"}
    return {"t": t, "pid": 9, "company": len(runs), "rung_by": list(rung_by), "runs": list(runs), **where}


def judged(fault: Any, world: Any, history: Sequence[Event], events: Sequence[Event] = ()) -> Judgement:
    for event in history:
        world.history.write(**event)
    return fault.judge(world, Injected(since=0, until=1000, times=len(events), photos=[], events=events))


def ordered(fault: type[Ordered], *asked: tuple[str, str]) -> Any:
    made = fault()
    made.asked, made.missed = list(asked), []
    return made


def test_what_is_loaded_after_the_claim_is_no_excuse() -> None:
    history = [
        {"t": 14.0, "kind": "ready", "pid": 2, "seconds": 3.0},
        claim(15.0, AGAIN, pid=2),
        {"t": 95.0, "kind": "commit", "pid": 2, "run": "a"},
    ]
    [found] = recoveries([strike(10.0, "after_claim", RUN)], history)
    assert (found.seconds, found.loading) == (5.0, 3.0)


@pytest.mark.parametrize("fault", [ChildKill, WorkerKill])
@pytest.mark.parametrize(
    ("later", "passed"),
    [
        ([claim(14.0, {"run": "b", "subject": "q", "attempt": 1})], True),
        # whose hint died with its reader was never taken up
        ([], False),
        # too late for either
        ([claim(200.0, {"run": "b", "subject": "q", "attempt": 1})], False),
    ],
)
def test_who_held_nothing_has_lost_a_hint(fault: type[Ordered], later: list[Event], passed: bool, world: Any) -> None:
    one = ordered(fault, ("after_claim", "exif"), ("before_claim", "exif"))
    events = [strike(10.0, "after_claim", RUN), strike(11.0, "before_claim", rung_by=["q"])]
    assert judged(one, world, [claim(12.0, AGAIN), *later], events).passed is passed


@pytest.mark.parametrize("fault", [ChildKill, WorkerKill])
def test_a_point_where_nobody_was_struck_is_missed(fault: type[Ordered], world: Any) -> None:
    one = ordered(fault, ("after_claim", "exif"), ("decoding", "exif"))
    one.missed = [("decoding", "exif")]
    found = judged(one, world, [claim(12.0, AGAIN)], [strike(10.0, "after_claim", RUN)])
    assert not found.passed
    assert "places missed: exif decoding; points never struck: decoding" in found.figure
    assert judged(ordered(fault, ("after_claim", "exif")), world, [], [strike(10.0, "after_claim", RUN)]).passed


def test_a_hint_that_was_not_lost_says_nothing_of_who_held_nothing(world: Any) -> None:
    one = ordered(WorkerKill, ("after_claim", "exif"), ("before_claim", "exif"))
    events = [strike(10.0, "after_claim", RUN), strike(11.0, "before_claim", rung_by=[])]
    assert not judged(one, world, [claim(12.0, AGAIN)], events).passed


def test_who_took_a_hint_of_others_has_lost_nothing(world: Any) -> None:
    for photo, t in (("p", 10.0), ("q", 11.0)):
        world.injections.write(
            t=t, point="before_claim", stage="exif" if photo == "p" else "renditions", rung_by=[photo]
        )
    world.history.write(**claim(9.0, RUN))
    assert harmless(world, since=0) == {("before_claim", "exif")}
    assert harmless(world, since=10.5) == set()


def returned(t: float, *, pid: int, count: int = 1) -> Event:
    return {"t": t, "kind": "expire_leases", "pid": pid, "returned": {"exif": count}, "dead": {}}


@pytest.mark.parametrize(
    ("sweeps", "passed"),
    [
        ([returned(70.0, pid=2), {"t": 70.5, "kind": "nothing_expired", "pid": 3}], True),
        # nobody raced with it
        ([returned(70.0, pid=2), {"t": 70.5, "kind": "nothing_expired", "pid": 2}], False),
        ([returned(70.0, pid=2), {"t": 80.0, "kind": "nothing_expired", "pid": 3}], False),
        # both of them returned it
        ([returned(70.0, pid=2), returned(70.1, pid=3)], False),
    ],
)
def test_two_sweeps_must_have_met(sweeps: list[Event], passed: bool, world: Any) -> None:
    one = ordered(TwoBeats, ("after_claim", "exif"))
    one.asked_for = 2
    assert judged(one, world, [*sweeps, claim(71.0, AGAIN)], [strike(10.0, "after_claim", RUN)]).passed is passed


def test_only_a_message_that_was_sent_after_the_strike_shows_that_a_worker_hears() -> None:
    history = [claim(5.0, task="old"), claim(6.0, task="new", worker="faces1")]
    assert who_heard(history, {"new"}) == {"faces1": 6.0}


@pytest.mark.parametrize(
    ("fault", "refills", "empty", "passed"),
    [
        (RedisWipe, [1.0, 119.0], 0, True),
        (RedisWipe, [1.0, None], 0, False),
        (RedisWipe, [1.0, 121.0], 0, False),
        # one of its strikes had nothing to forget
        (RedisWipe, [1.0], 1, False),
        (RedisFlap, [], 1, True),
    ],
)
def test_every_run_that_was_pending_is_taken_up(
    fault: type, refills: list[float | None], empty: int, passed: bool, world: Any
) -> None:
    one = fault()
    one.refills, one.empty_returns, one.deaf, one.struck_at, one.over_at = refills, empty, {"ingest1": 1.0}, 5.0, 9.0
    world.uploader = SimpleNamespace(since=lambda *_: [Upload(6.0, 0.1, 201, is_paced=True)])
    assert judged(one, world, []).passed is passed


def sigterm(**held: Any) -> Event:
    return {"t": 10.0, "point": "sigterm", "worker": "ingest1", "stage": "", "runs": [], "pending": [], **held}


@pytest.mark.parametrize(
    ("event", "history", "passed"),
    [
        (sigterm(runs=[RUN], pending=["b"]), [claim(12.0, RUN), claim(13.0, {**RUN, "run": "b"})], True),
        # nobody held anything, or nothing waited: nothing was measured
        (sigterm(pending=["b"]), [claim(13.0, {**RUN, "run": "b"})], False),
        (sigterm(runs=[RUN]), [claim(12.0, RUN)], False),
        # nobody took it up, until a sweep did
        (sigterm(runs=[RUN], pending=["b"]), [claim(12.0, RUN), claim(75.0, {**RUN, "run": "b"})], False),
        (sigterm(runs=[RUN], pending=["b"]), [claim(12.0, RUN)], False),
    ],
)
def test_what_waited_for_a_worker_that_was_stopped_is_timed(
    event: Event, history: list[Event], passed: bool, world: Any
) -> None:
    one = SigtermRolling()
    one.killed, one.idle, one.queues = [], [], {"ingest1": "ingest", "ingest2": "ingest", "faces1": "faces"}
    assert judged(one, world, history, [event]).passed is passed


def test_a_run_that_waits_while_others_are_served_is_not_delayed(world: Any) -> None:
    one = SigtermRolling()
    one.killed, one.idle, one.queues = [], [], {"ingest1": "ingest", "ingest2": "ingest", "faces1": "faces"}
    served = [claim(t, {**RUN, "run": f"{t}"}, worker="ingest2") for t in (12.0, 40.0, 70.0)]
    last = claim(90.0, {**RUN, "run": "b"}, worker="ingest2")
    event = sigterm(runs=[RUN], pending=["b"])
    assert judged(one, world, [claim(11.0, RUN), *served, last], [event]).passed
    one.idle = ["faces1"]
    assert not judged(one, world, [], [event]).passed


def test_who_is_held_must_have_come_to_the_end(world: Any) -> None:
    held = {"t": 10.0, "pid": 1}
    assert not has_gone_on(held, [claim(9.0, RUN), claim(12.0, RUN, pid=2), {"t": 13.0, "pid": 1, "kind": "hand_back"}])
    assert has_gone_on(held, [claim(14.0)])
    assert has_gone_on(held, [{"t": 14.0, "pid": 1, "kind": "look"}])


def test_wrong_bytes_must_have_been_seen_by_their_hash(world: Any) -> None:
    world.injections.write(t=10.0, point="wrong", worker="")
    world.history.write(t=11.0, kind="hand_back", code="wrong_bytes")
    assert not was_noticed(world, "wrong", since=5.0)  # it struck no worker
    world.injections.write(t=12.0, point="wrong", worker="ingest1")
    assert was_noticed(world, "wrong", since=5.0)
    assert not was_noticed(world, "wrong", since=11.5)
    world.history.write(t=13.0, kind="hand_back", code="storage_unavailable")
    assert not was_noticed(world, "wrong", since=11.5)
    assert not was_noticed(world, "refuses", since=5.0)
    world.injections.write(t=12.0, point="refuses", worker="ingest1")
    assert was_noticed(world, "refuses", since=5.0)


def test_what_a_full_disk_left_half_written_is_no_clean_retry(world: Any) -> None:
    one = DiskFull()
    incoming = world.store_folder / "originals" / ".incoming"
    incoming.mkdir(parents=True)
    (incoming / "of-somebody-killed").touch()
    one.prepare(world)
    one.healed_at = 10.0
    world.uploader = SimpleNamespace(since=lambda *_: [Upload(6.0, 0.1, 503, is_paced=False)])
    world.database = SimpleNamespace(dead=list)
    returned_runs = [{"t": 9.0, "kind": "hand_back", "run": "a", "code": "storage_unavailable"}]
    assert judged(one, world, returned_runs).passed
    (incoming / "half").touch()
    found = judged(one, world, [])
    assert not found.passed
    assert found.remarks == [f"half-written: {incoming / 'half'}"]


@pytest.mark.parametrize(
    ("offs", "passed"),
    [
        ({"ingest1": 7200, "ingest2": -7200}, True),
        ({"ingest1": 7200}, False),
        ({"ingest1": 7200, "ingest2": -7200, "faces1": 0}, False),
    ],
)
def test_a_clock_that_was_not_off_is_no_skew(offs: dict[str, int], passed: bool, world: Any) -> None:
    one = ClockSkew()
    now = time.monotonic()
    one.turns = [Turn(since=now, until=now + 10, hours={"ingest1": 2, "ingest2": -2, "faces1": 2})]
    history = [claim(now + 1, RUN, worker=name, wall=time.time() + 1 + off) for name, off in offs.items()]
    history.append({"t": now + 2, "kind": "commit", "pid": 1, "run": "a"})
    assert judged(one, world, history).passed is passed
