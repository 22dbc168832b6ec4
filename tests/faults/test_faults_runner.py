"""The verdict on one fault, on an installation that is made up: whatever is not as it should be turns it red."""

import random
from pathlib import Path
from types import SimpleNamespace

import psycopg2
import pytest

from faults import aftermath, checking, report
from faults.checking import COUNTS, Verdict
from faults.events import EventFile
from faults.fault import Fault, Injected, Judgement
from faults.orders import OrderBook
from faults.runner import Runner

ZEROS = dict.fromkeys(COUNTS, 0)
DEAD = [("1", "exif", "timed_out", "The process was stopped")]


class Struck(Fault):
    """Does what it is told to."""

    name = "struck"
    title = "a title"
    criterion = "a criterion"

    def __init__(self, *, error: Exception | None = None) -> None:
        self.error = error
        self.is_healed = False

    def inject(self, world: object, chance: random.Random, *, times: int) -> int:
        if self.error:
            raise self.error
        return times

    def heal(self, world: object) -> None:
        self.is_healed = True

    def judge(self, world: object, injected: Injected) -> Judgement:
        return Judgement(passed=True, figure="a figure")


class Deadly(Struck):
    """Is about dead letters."""

    makes_dead = True


class MadeUp(SimpleNamespace):
    """What a runner asks of an installation."""

    def __init__(self, folder: Path) -> None:
        self.dead: list[tuple[str, ...]] = []
        self.unsettled, self.settled = 0, 0
        super().__init__(
            orders=OrderBook(folder),
            injections=EventFile(folder / "injections"),
            uploaders=[],
            acknowledged=SimpleNamespace(photos=list),
            wait_for_workers=lambda: 0.0,
            database=SimpleNamespace(
                dead=lambda: self.dead, unsettled=lambda: self.unsettled, wait_until_settled=self._settle
            ),
        )

    def _settle(self, *, seconds: float) -> bool:
        self.settled += 1
        return not self.unsettled


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    """An installation where `prove` finds nothing."""
    monkeypatch.setattr(checking, "prove", lambda _world: Verdict(counts=ZEROS, findings=[]))
    return MadeUp(tmp_path)


def test_a_fault_that_leaves_a_dead_letter_is_red(world: MadeUp) -> None:
    runner = Runner(world=world, seed=1)
    assert (runner.run(Struck()).is_green, runner.results[-1].dead) == (True, 0)
    world.dead = DEAD
    result = runner.run(Struck())
    assert (result.is_green, result.dead) == (False, 1)
    assert list(result.remarks) == ["dead: exif timed_out: The process was stopped"]
    # it is no other fault's doing
    assert (runner.run(Struck()).is_green, runner.results[-1].dead) == (True, 0)


def test_a_fault_that_is_about_dead_letters_may_leave_some(world: MadeUp) -> None:
    world.dead = DEAD
    result = Runner(world=world, seed=1).run(Deadly())
    assert (result.is_green, result.dead) == (True, 1)


def test_what_did_not_end_turns_a_fault_red(world: MadeUp) -> None:
    world.unsettled = 2
    result = Runner(world=world, seed=1).run(Struck())
    assert (result.is_green, result.unsettled) == (False, 2)
    assert list(result.remarks) == ["2 runs had not ended after 300 s"]


def test_a_fault_that_breaks_off_is_healed_settled_and_counted(world: MadeUp) -> None:
    fault = Struck(error=TimeoutError("nobody came"))
    result = Runner(world=world, seed=1).run(fault)
    assert fault.is_healed
    assert world.settled == 1
    assert (result.is_green, result.figure, list(result.troubles)) == (
        False, "not measured", ["TimeoutError: nobody came"],
    )  # fmt: skip


@pytest.mark.parametrize(("sweeps", "is_right"), [([3, 1, 0], True), ([3, 3, 3], False)])
def test_the_last_proof_waits_for_every_sweep(
    sweeps: list[int], is_right: bool, world: MadeUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter(sweeps)
    proofs: list[int] = []
    monkeypatch.setattr(aftermath, "SLACK_SECONDS", 1.5)
    monkeypatch.setattr(
        checking, "prove", lambda _world: proofs.append(1) or Verdict(counts={**ZEROS, "leaked": 0}, findings=[])
    )
    world.database.rows = lambda _sql: [(next(left, sweeps[-1]), -1.0)]
    world.timing, world.store_folder = SimpleNamespace(sweep=0), tmp_path
    (tmp_path / "originals" / ".incoming").mkdir(parents=True)
    (tmp_path / "originals" / ".incoming" / "unfinished").touch()
    said: list[str] = []
    found = aftermath.await_last_sweep(world, tell=said.append)
    assert said == ["3 sweeps are open, the last for 0 s."]
    assert (found.is_right, found.sweeps, found.unfinished, proofs) == (is_right, sweeps[-1], 1, [1])


def test_a_last_proof_that_breaks_off_is_red_and_ends_nothing(world: MadeUp) -> None:
    def fail(_sql: str) -> list:
        raise psycopg2.OperationalError("gone")

    world.database.rows = fail
    found = aftermath.await_last_sweep(world, tell=lambda _text: None)
    assert not found.is_right
    assert report.afterwards(found) == "after the last sweep: NOT KNOWN, OperationalError: gone"
