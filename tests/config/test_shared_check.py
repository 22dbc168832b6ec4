import threading
import time
from collections.abc import Callable

import pytest

from config.health import shared_check
from config.health.findings import Finding, Status, worst
from config.health.shared_check import SharedCheck


class Component:
    """Something to be checked, which counts how often, and which answers when it is let go."""

    def __init__(self, *, is_held: bool = False) -> None:
        self.asked = 0
        self.go = threading.Event()
        if not is_held:
            self.go.set()

    def check(self) -> Finding:
        self.asked += 1
        self.go.wait(20)
        return Finding(detail={"asked": self.asked})


def make(run: Callable[[], Finding], seconds: float = 10) -> SharedCheck:
    return SharedCheck(run, name="it", seconds=seconds)


def test_who_asks_soon_after_is_told_the_same() -> None:
    component = Component()
    check = make(component.check)
    assert [check.start()().detail["asked"] for _ in range(3)] == [1, 1, 1]


def test_who_asks_later_is_told_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_check, "FRESH_SECONDS", 0)
    component = Component()
    check = make(component.check)
    assert [check.start()().detail["asked"] for _ in range(3)] == [1, 2, 3]


def test_who_has_asked_is_told_what_was_found_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the others take that are waited for first: nothing is asked a second time."""
    monkeypatch.setattr(shared_check, "FRESH_SECONDS", 0)
    component = Component()
    wait = make(component.check).start()
    assert [wait().detail["asked"] for _ in range(3)] == [1, 1, 1]


def test_a_hanging_check_is_answered_for_in_time_and_holds_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_check, "FRESH_SECONDS", 0)
    component = Component(is_held=True)
    check = make(component.check, seconds=0.2)
    started = time.monotonic()
    for _ in range(5):
        found = check.start()()
        assert (found.status, found.reasons) == (Status.FAILING, ["no answer within 0.2 s"])
    assert time.monotonic() - started < 1
    assert component.asked == 1
    assert sum(thread.name == "health-it" for thread in threading.enumerate()) == 1

    component.go.set()
    for thread in threading.enumerate():
        if thread.name == "health-it":
            thread.join(20)
    assert check.start()().status is Status.OK


def test_what_a_check_raises_is_its_finding() -> None:
    def raise_it() -> Finding:
        raise OSError("the disk is gone")

    found = make(raise_it).start()()
    assert (found.status, found.reasons) == (Status.FAILING, ["OSError: the disk is gone"])


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], Status.OK),
        ([Status.OK, Status.OK], Status.OK),
        ([Status.DEGRADED, Status.OK], Status.DEGRADED),
        ([Status.OK, Status.FAILING, Status.DEGRADED], Status.FAILING),
    ],
)
def test_the_worst_decides(statuses: list[Status], expected: Status) -> None:
    assert worst(statuses) is expected


def test_a_finding_never_gets_better() -> None:
    finding = Finding()
    finding.fail("gone")
    finding.degrade("slow")
    assert finding.as_json() == {"status": "failing", "reasons": ["gone", "slow"]}
