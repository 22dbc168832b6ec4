"""Running faults one after another on one installation: photos, strikes, peace, verdict."""

import math
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from faults import checking
from faults.fault import Fault, Injected, Judgement
from faults.installation import Installation
from faults.measures import percentile
from faults.uploading import Load

# of a fault, in the report
MOST_FINDINGS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One row of the report. The five counts are those that this fault added."""

    name: str
    title: str
    criterion: str
    times: int
    photos: int
    counts: dict[str, int]
    p50: float | None
    p99: float | None
    figure: str
    passed: bool
    seconds: float
    remarks: Sequence[str] = ()
    # what kept the harness itself from doing or measuring what it wanted
    troubles: Sequence[str] = ()

    @property
    def is_green(self) -> bool:
        """Whether the criterion holds and all five counts are zero."""
        return self.passed and not any(self.counts.values())

    def as_dict(self) -> dict[str, Any]:
        """Give it for a file."""
        return asdict(self)


@dataclass
class Runner:
    """Runs faults on an installation that has been started."""

    world: Installation
    seed: int
    # of the photos and strikes of a full run
    share: float = 1.0
    # whether a fault's own criterion is asked for, beside `prove`
    is_judged: bool = True
    longest_settle: float = math.inf
    results: list[Result] = field(default_factory=list)
    _findings: list[dict[str, Any]] = field(default_factory=list)
    _known: dict[str, int] = field(default_factory=lambda: dict.fromkeys(checking.COUNTS, 0))

    def warm_up(self, *, photos: int) -> None:
        """Take a few photos in without any fault: every process has loaded what it needs, and it works at all."""
        self.world.feed(photos)
        if not self.world.database.wait_until_settled(seconds=240):
            raise RuntimeError(f"without any fault {self.world.database.unsettled()} runs did not end")
        verdict = checking.prove(self.world)
        if not verdict.is_clean or self.world.database.dead():
            raise RuntimeError(f"without any fault: {verdict.counts}, dead: {self.world.database.dead()}")

    def run(self, fault: Fault) -> Result:
        """Run one fault and judge it. Whatever it raises is a failure of that fault, and ends no other."""
        # of each fault its own, so that narrowing FAULTS= changes nothing for the others
        chance = random.Random(f"{self.seed} {fault.name}")
        started = time.monotonic()
        before = len(self.world.acknowledged.photos())
        remarks: list[str] = []
        troubles: list[str] = []
        times = 0
        judgement = Judgement(passed=False, figure="not measured")
        try:
            fault.prepare(self.world)
            started = time.monotonic()
            loads = self._loads(fault)
            try:
                times = fault.inject(self.world, chance, times=max(fault.least, round(fault.times * self.share)))
            finally:
                self.world.orders.disarm()
                fault.heal(self.world)
                for load in loads:
                    load.end()
            self._settle(fault, remarks)
            injected = Injected(
                since=started,
                until=time.monotonic(),
                times=times,
                photos=self.world.acknowledged.photos()[before:],
                events=self.world.injections.read(since=started),
            )
            if self.is_judged:
                judgement = fault.judge(self.world, injected)
        except Exception as error:  # noqa: BLE001 - said in the report, as this fault's failure
            troubles.append(f"{type(error).__name__}: {error}")
        photos = len(self.world.acknowledged.photos()) - before
        result = self._result(fault, judgement, remarks, troubles, times=times, photos=photos, since=started)
        self.results.append(result)
        return result

    def _loads(self, fault: Fault) -> list[Load]:
        loads = []
        if fault.photos:
            wanted = max(4, round(fault.photos * self.share))
            loads.append(self.world.uploader.start(islice(self.world.pictures, wanted)))
        if fault.per_second:
            loads.append(self.world.uploader.start(self.world.pictures, per_second=fault.per_second))
        return loads

    def _settle(self, fault: Fault, remarks: list[str]) -> None:
        self.world.wait_for_workers()
        seconds = min(fault.settle_seconds, self.longest_settle)
        if not self.world.database.wait_until_settled(seconds=seconds):
            remarks.append(f"{self.world.database.unsettled()} runs had not ended after {seconds:.0f} s")

    def _result(
        self,
        fault: Fault,
        judgement: Judgement,
        remarks: list[str],
        troubles: list[str],
        *,
        times: int,
        photos: int,
        since: float,
    ) -> Result:
        counts = dict(self._known)
        try:
            verdict = checking.prove(self.world)
            counts = verdict.counts
            remarks += [str(one) for one in verdict.findings if one not in self._findings][:MOST_FINDINGS]
            self._findings = list(verdict.findings)
        except RuntimeError as error:
            troubles.append(str(error))
        added = {name: max(0, counts[name] - self._known[name]) for name in checking.COUNTS}
        self._known = counts
        return Result(
            name=fault.name,
            title=fault.title,
            criterion=fault.criterion,
            times=times,
            photos=photos,
            counts=added,
            p50=percentile(judgement.recoveries, 0.50),
            p99=percentile(judgement.recoveries, 0.99),
            figure=judgement.figure,
            passed=judgement.passed and not remarks and not troubles,
            seconds=time.monotonic() - since,
            remarks=[*judgement.remarks, *troubles, *remarks],
            troubles=troubles,
        )
