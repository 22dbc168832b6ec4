"""The soak's figures, on made-up samples: what grows must be found to grow, and what is flat to be flat."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from faults import memory, orders, soaking
from faults.events import INJECTIONS, EventFile
from faults.memory import MIB, Recorder, Sample
from faults.orders import OrderBook
from faults.soaking import Faults, Soaked
from faults.supervisor import Managed

SECONDS = 1800.0


def family(
    child_bytes: Callable[[float, float], float], *, lives_seconds: float = SECONDS + 1, name: str = "ingest1"
) -> list[Sample]:
    """Give a parent of 50 MiB and one child, which is replaced every so often: `child_bytes` of the time and its age"""
    samples = []
    for number in range(int(SECONDS / 10)):
        t = number * 10.0
        life, age = divmod(t, lives_seconds)
        samples.append(Sample(t, name, 1, True, t, 50 * MIB, 40 * MIB, 90 * MIB))
        samples.append(Sample(t, name, 100 + int(life), False, age, int(child_bytes(t, age)), 0, 0))
    return samples


def test_what_is_flat_has_no_growth_but_noise() -> None:
    chance = random.Random(1)
    growth = memory.growth(family(lambda _t, _age: chance.gauss(100, 3) * MIB), seconds=SECONDS)
    assert growth is not None
    assert (growth.lives, growth.size) == (2, 2)
    assert abs(growth.share) < 0.01
    assert growth.middle == pytest.approx(150 * MIB, rel=0.01)


def test_what_grows_all_the_time_is_measured() -> None:
    # the medians of two thirds are ten minutes apart: 60 MiB an hour are 10 MiB
    growth = memory.growth(family(lambda t, _age: 100 * MIB + t / 60 * MIB), seconds=SECONDS)
    assert growth is not None
    assert growth.last - growth.middle == pytest.approx(10 * MIB, rel=0.01)
    assert growth.share == pytest.approx(10 / (50 + 100 + 14.9), rel=0.01)
    assert growth.per_hour == pytest.approx(60 / (50 + 100 + 14.9), rel=0.01)


def test_growth_in_the_warm_up_does_not_count() -> None:
    growth = memory.growth(family(lambda t, _age: min(100, 20 + t / 5) * MIB), seconds=SECONDS)
    assert growth is not None
    assert growth.share == 0


def test_replaced_children_are_compared_at_the_same_age() -> None:
    # each child grows while it loads; in the last third they happen to be replaced at other moments
    growth = memory.growth(family(lambda _t, age: (40 + min(age, 200) / 4) * MIB, lives_seconds=370), seconds=SECONDS)
    assert growth is not None
    assert growth.lives > growth.size
    assert abs(growth.share) < 0.01


def test_a_leak_of_replaced_children_that_later_ones_inherit_is_found() -> None:
    growth = memory.growth(family(lambda t, _age: (40 + t / 60) * MIB, lives_seconds=250), seconds=SECONDS)
    assert growth is not None
    assert growth.share > soaking.FLAT


def test_too_little_is_not_measured() -> None:
    assert memory.growth(family(lambda _t, _age: MIB)[:60], seconds=SECONDS) is None
    growths, unmeasured = soaking.growths_of(
        [*family(lambda _t, _age: MIB), *family(lambda _t, _age: MIB, name="gone")[:40]], seconds=SECONDS
    )
    assert ([one.family for one in growths], unmeasured) == (["ingest1"], ["gone"])


def test_a_soak_is_right_only_if_all_is_flat_and_nothing_lost() -> None:
    def soaked(leak: float, lost: int, troubles: list[str] | None = None) -> Soaked:
        growths, unmeasured = soaking.growths_of(family(lambda t, _age: (100 + leak * t) * MIB), seconds=SECONDS)
        return Soaked(
            minutes=30,
            photos=1,
            faults={"redis": 2},
            growths=growths,
            counts={"lost": lost},
            unmeasured=unmeasured,
            troubles=troubles or [],
        )

    def section(leak: float, troubles: list[str] | None = None) -> str:
        return soaking.section(soaked(leak, 0, troubles), stamp="2026-11-22, commit abc")

    assert soaked(0, 0).is_right
    assert not soaked(0, 1).is_right
    assert not soaked(0.05, 0).is_right
    assert not soaked(0, 0, ["The faults ended early."]).is_right
    assert "| ingest1 | 2 | none | 150.0 MiB | 150.0 MiB | +0.0% | +0.0% |" in section(0)
    assert "NOT FLAT" in section(0.05)
    assert "2026-11-22, commit abc. `make soak`: 30 minutes, 1 photos," in section(0)
    assert "**The faults ended early.**" in section(0, ["The faults ended early."])


def soak_faults(folder: Path, services: object) -> Faults:
    world = SimpleNamespace(
        injections=EventFile(folder / INJECTIONS), orders=OrderBook(folder), services=services, supervisor=None
    )
    return Faults(world, random.Random(1))


def test_a_fault_of_the_soak_counts_when_it_has_struck(tmp_path: Path) -> None:
    faults = soak_faults(tmp_path, SimpleNamespace(stop=lambda _name: None, start=lambda _name: None))
    for _ in range(3):
        faults._child_killed()
        faults._backend_terminated()
    faults._redis()
    assert len(faults.world.orders.armed()) == 6
    assert faults.struck == {"redis": 1}
    faults.world.injections.write(fault=soaking.FAULT, action=orders.KILL_CHILD, point="after_claim")
    faults.world.injections.write(fault="storage", point="refuses")
    assert faults.struck == {"redis": 1, "kill_child": 1}


def test_a_soak_whose_faults_have_ended_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soaking, "BETWEEN_FAULTS_SECONDS", (0.0, 0.0))
    faults = soak_faults(tmp_path, services=None)  # nothing can be stopped or restarted
    faults.run()
    assert isinstance(faults.error, AttributeError)
    assert not faults.stop.is_set()


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux tells of anonymous memory")
def test_shared_pages_of_a_fork_are_no_growth_when_they_are_copied(tmp_path: Path) -> None:
    program = "import os, time; block = bytearray(os.urandom(64 << 20)); os.fork(); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    managed = Managed("forked", [], {}, tmp_path, tmp_path / "log", process=process)
    try:
        deadline = time.monotonic() + 30
        while not managed.children() and time.monotonic() < deadline:
            time.sleep(0.1)
        samples = memory.sample({"forked": managed}, t=0, now=time.time())
    finally:
        os.killpg(process.pid, 9)
        process.wait()
    assert [one.is_parent for one in samples] == [True, False]
    assert all(64 * MIB < one.anonymous < 90 * MIB for one in samples)
    assert 64 * MIB < sum(one.proportional for one in samples) < 90 * MIB
    assert all(one.resident > one.anonymous for one in samples)
    recorder = Recorder(tmp_path / "memory.csv")
    recorder.add(samples)
    lines = (tmp_path / "memory.csv").read_text().splitlines()
    assert lines[0] == "t,family,pid,is_parent,age,anonymous,proportional,resident"
    assert len(lines) == 3
