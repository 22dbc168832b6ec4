"""Running faults one after another on one installation: photos, strikes, peace, verdict."""

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

import psycopg2

from faults import checking
from faults.fault import Fault, Injected, Judgement
from faults.installation import Installation
from faults.measures import percentile
from faults.uploading import Load, unexplained

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
    # runs that became dead letters meanwhile, and runs that had not ended when it was counted
    dead: int = 0
    unsettled: int = 0
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
    results: list[Result] = field(default_factory=list)
    _findings: list[dict[str, Any]] = field(default_factory=list)
    _known: dict[str, int] = field(default_factory=lambda: dict.fromkeys(checking.COUNTS, 0))
    _dead: frozenset[str] = frozenset()

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
        troubles: list[str] = []
        times = unsettled = 0
        judgement = Judgement(passed=False, figure="not measured")
        with _noting(troubles):
            fault.prepare(self.world)
            started = time.monotonic()
            times = self._strike(fault, chance)
        with _noting(troubles):
            unsettled = self._settle(fault)
        if self.is_judged and not troubles:
            injected = Injected(
                since=started,
                until=time.monotonic(),
                times=times,
                photos=self.world.acknowledged.photos()[before:],
                events=self.world.injections.read(since=started),
            )
            with _noting(troubles):
                judgement = fault.judge(self.world, injected)
        photos = len(self.world.acknowledged.photos()) - before
        result = self._result(
            fault, judgement, troubles, times=times, photos=photos, unsettled=unsettled, since=started
        )
        self.results.append(result)
        return result

    def _strike(self, fault: Fault, chance: random.Random) -> int:
        """Upload and inject; whatever happens, nothing goes on afterwards. Gives how often it struck."""
        with ExitStack() as afterwards:
            for load in self._loads(fault):
                afterwards.callback(load.end)
            afterwards.callback(fault.heal, self.world)
            afterwards.callback(self.world.orders.disarm)
            return fault.inject(self.world, chance, times=max(fault.least, round(fault.times * self.share)))

    def _loads(self, fault: Fault) -> list[Load]:
        loads = []
        if fault.photos:
            wanted = max(4, round(fault.photos * self.share))
            loads.append(self.world.uploader.start(islice(self.world.pictures, wanted)))
        if fault.per_second:
            loads.append(self.world.uploader.start(self.world.pictures, per_second=fault.per_second))
        return loads

    def _settle(self, fault: Fault) -> int:
        """Wait until everything has ended; gives how many runs have not."""
        self.world.wait_for_workers()
        if self.world.database.wait_until_settled(seconds=fault.settle_seconds):
            return 0
        return self.world.database.unsettled()

    def _result(
        self,
        fault: Fault,
        judgement: Judgement,
        troubles: list[str],
        *,
        times: int,
        photos: int,
        unsettled: int,
        since: float,
    ) -> Result:
        counts, dead, findings = dict(self._known), [], []
        try:
            dead = self._new_dead()
            verdict = checking.prove(self.world)
            counts = verdict.counts
            findings = [str(one) for one in verdict.findings if one not in self._findings][:MOST_FINDINGS]
            self._findings = list(verdict.findings)
        except (RuntimeError, psycopg2.Error) as error:
            troubles.append(f"{type(error).__name__}: {error}")
        refused = unexplained(self.world.uploaders, since=since, may_refuse=fault.may_refuse_uploads)
        hitches = refused[:MOST_FINDINGS]
        hitches += [f"{unsettled} runs had not ended after {fault.settle_seconds:.0f} s"] if unsettled else []
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
            passed=judgement.passed and not (hitches or findings or troubles) and (fault.makes_dead or not dead),
            seconds=time.monotonic() - since,
            dead=len(dead),
            unsettled=unsettled,
            remarks=[*judgement.remarks, *troubles, *hitches, *dead[:MOST_FINDINGS], *findings],
            troubles=troubles,
        )

    def _new_dead(self) -> list[str]:
        """Describe the runs that have become dead letters since this was last asked."""
        rows = self.world.database.dead()
        known, self._dead = self._dead, frozenset(str(row[0]) for row in rows)
        return [f"dead: {work} {code}: {detail}" for pk, work, code, detail in rows if str(pk) not in known]


@contextmanager
def _noting(troubles: list[str]) -> Iterator[None]:
    """Write down what the block raises: it is said in the report, as the failure of one fault, and ends no other."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - see above
        troubles.append(f"{type(error).__name__}: {error}")
