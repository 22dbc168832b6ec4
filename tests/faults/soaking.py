"""Half an hour of uploads with mild faults, and the memory of every process meanwhile."""

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2

from config import embedded
from faults import checking, memory, orders
from faults.installation import Installation, Parts, Timing
from faults.memory import MIB, Growth, Recorder, Sample
from faults.ordered import COMPUTING
from faults.orders import Order
from faults.pictures import Picture, Pictures

TITLE = "## Soak"
FAULT = "soak"
FLAT = 0.05
PER_SECOND = 1.0
# more is not uploaded until some of it is done
BACKLOG = 40
SAMPLE_SECONDS = 10.0
BETWEEN_FAULTS_SECONDS = (15.0, 35.0)
SETTLE_SECONDS = 300.0
# one of each kind is killed and stopped again and again, the other lives through all that happens around it
WORKERS = {
    "ingest1": "ingest",
    "ingest2": "ingest",
    "faces1": "faces,embeddings",
    "faces2": "faces,embeddings",
    "people1": "people,maintenance",
    "people2": "people,maintenance",
}
STRUCK = {"ingest1": ("exif", "renditions"), "faces1": ("face_detection", "face_embedding")}
STOPPED = ("ingest1", "faces1", "people1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Soaked:
    """What came of a soak."""

    minutes: float
    photos: int
    faults: Mapping[str, int]
    growths: Sequence[Growth]
    counts: Mapping[str, int]
    unmeasured: Sequence[str] = ()
    # what else went wrong: faults that ended before their time, work that did not end, dead letters
    troubles: Sequence[str] = ()

    @property
    def is_flat(self) -> bool:
        """Whether every family is measured, and none has grown by more than is allowed."""
        return bool(self.growths) and not self.unmeasured and all(growth.share <= FLAT for growth in self.growths)

    @property
    def is_right(self) -> bool:
        """Whether memory is flat, and nothing was lost, doubled, wrong, stuck or leaked, nor went wrong otherwise."""
        return self.is_flat and not any(self.counts.values()) and not self.troubles


@dataclass
class Faults:
    """Strikes at random, from a thread, until `stop` is set."""

    world: Installation
    chance: random.Random
    stop: threading.Event = field(default_factory=threading.Event)
    # what ended the thread before its time
    error: Exception | None = None
    _done: Counter[str] = field(default_factory=Counter)

    @property
    def struck(self) -> dict[str, int]:
        """Count what was done, by kind. An order counts when somebody came by and carried it out, not when it lay."""
        carried_out = (event["action"] for event in self.world.injections.read() if event["fault"] == FAULT)
        return dict(self._done + Counter(carried_out))

    def run(self) -> None:
        """Strike again and again."""
        try:
            self._run()
        except Exception as error:  # noqa: BLE001 - a soak without faults must not pass for one: it is said
            self.error = error

    def _run(self) -> None:
        ways = (self._child_killed, self._worker_stopped, self._backend_terminated, self._redis, self._postgres)
        # the servers are restarted less often than processes end
        weights = (4, 3, 3, 1, 1)
        while not self.stop.wait(self.chance.uniform(*BETWEEN_FAULTS_SECONDS)):
            self.world.orders.disarm()  # what nobody has come by
            [way] = self.chance.choices(ways, weights)
            way()

    def _child_killed(self) -> None:
        worker = self.chance.choice(sorted(STRUCK))
        stage = self.chance.choice(STRUCK[worker])
        point = self.chance.choice(("after_claim", COMPUTING[stage], "after_store"))
        self._arm(point, stage, orders.KILL_CHILD, worker)

    def _backend_terminated(self) -> None:
        stage = self.chance.choice(sorted(COMPUTING))
        self._arm(self.chance.choice(("after_store", "before_commit")), stage, orders.TERMINATE_BACKEND, "")

    def _worker_stopped(self) -> None:
        self.world.supervisor.restart(self.chance.choice(STOPPED))
        self._done["worker_stopped"] += 1

    def _redis(self) -> None:
        self.world.services.stop(embedded.REDIS)
        self.world.services.start(embedded.REDIS)
        self._done["redis"] += 1

    def _postgres(self) -> None:
        self.world.services.stop(embedded.POSTGRES)
        self.world.services.start(embedded.POSTGRES)
        self._done["postgres"] += 1

    def _arm(self, point: str, stage: str, action: str, worker: str) -> None:
        self.world.orders.arm(Order(fault=FAULT, point=point, stage=stage, action=action, worker=worker))


def run(
    folder: Path, *, minutes: float, seed: int, models_dir: Path, pictures: Pictures, tell: Callable[[str], None]
) -> Soaked:
    """Soak an installation of its own for so many minutes; the samples lie in `memory.csv`."""
    world = Installation(
        folder, timing=Timing(), models_dir=models_dir, pictures=pictures, parts=Parts(workers=WORKERS)
    )
    try:
        world.start()
        tell("Serving; the soak begins.")
        faults = Faults(world, random.Random(f"{seed} soak"))
        striking = threading.Thread(target=faults.run, daemon=True)
        load = world.uploader.start(_paced(world), per_second=PER_SECOND)
        striking.start()
        samples = _watch(world, seconds=60 * minutes, recorder=Recorder(folder / "memory.csv"), tell=tell)
        faults.stop.set()
        striking.join()
        world.orders.disarm()
        photos = load.end()
        world.wait_for_workers()
        troubles = _troubles(world, faults)
        verdict = checking.prove(world)
    finally:
        world.close()
    growths, unmeasured = growths_of(samples, seconds=60 * minutes)
    soaked = Soaked(
        minutes=minutes,
        photos=len(photos),
        faults=faults.struck,
        growths=growths,
        counts=verdict.counts,
        unmeasured=unmeasured,
        troubles=troubles,
    )
    for trouble in troubles:
        tell(f"NOT AS IT SHOULD BE: {trouble}")
    return soaked


def growths_of(samples: Sequence[Sample], *, seconds: float) -> tuple[list[Growth], list[str]]:
    """Give the growth of each family, and the names of those that were not there for long enough."""
    families: dict[str, list[Sample]] = defaultdict(list)
    for one in samples:
        families[one.family].append(one)
    found = {name: memory.growth(some, seconds=seconds) for name, some in sorted(families.items())}
    return [one for one in found.values() if one], [name for name, one in found.items() if one is None]


def section(soaked: Soaked, *, stamp: str) -> str:
    """Write the section of the report."""
    faults = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in sorted(soaked.faults.items()))
    rows = [
        f"| {one.family} | {one.size} | {'none' if one.lives == one.size else one.lives - one.size} | "
        f"{one.middle / MIB:.1f} MiB | {one.last / MIB:.1f} MiB | {one.share:+.1%} | {one.per_hour:+.1%} |"
        for one in soaked.growths
    ]
    worst = max((one.share for one in soaked.growths), default=0.0)
    counts = ", ".join(f"{name} {count}" for name, count in soaked.counts.items())
    parts = [
        TITLE,
        "",
        f"{stamp}. `make soak`: {soaked.minutes:.0f} minutes, {soaked.photos} photos,",
        f"{sum(soaked.faults.values())} faults ({faults}); afterwards {counts}.",
        *(f"**{trouble}**" for trouble in soaked.troubles),
        "",
        "Resident memory that no file backs, of a parent and its children together (a page that they share counts for",
        "each): the median of the last third of the time against that of the middle third. A family whose processes",
        "were replaced is compared with itself at the same age of its youngest process.",
        "",
        f"Most growth: {worst:+.1%}; {FLAT:.0%} are allowed. {'Flat.' if soaked.is_flat else '**NOT FLAT.**'}",
        f"Not measured: {', '.join(soaked.unmeasured) or 'none'}.",
        "",
        "| family | processes | replaced | middle third | last third | growth | trend per hour |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *rows,
    ]
    return "\n".join(parts) + "\n"


def _troubles(world: Installation, faults: Faults) -> list[str]:
    """Wait until all is done, and say what went wrong."""
    found = [f"The faults ended early: {type(faults.error).__name__}: {faults.error}"] if faults.error else []
    if not world.database.wait_until_settled(seconds=SETTLE_SECONDS):
        found.append(f"{world.database.unsettled()} runs had not ended after {SETTLE_SECONDS:.0f} s.")
    return found + [f"Dead: {work} {code}: {detail}." for _, work, code, detail in world.database.dead()]


def _watch(world: Installation, *, seconds: float, recorder: Recorder, tell: Callable[[str], None]) -> list[Sample]:
    found: list[Sample] = []
    started = time.monotonic()
    while (t := time.monotonic() - started) <= seconds:
        some = memory.sample(dict(world.supervisor.managed), t=round(t, 1), now=time.time())
        recorder.add(some)
        found += some
        if len(found) // 400 != (len(found) - len(some)) // 400:
            tell(f"{t / 60:.0f} min: {sum(one.anonymous for one in some) / MIB:.0f} MiB in {len(some)} processes")
        time.sleep(SAMPLE_SECONDS)
    return found


def _paced(world: Installation) -> Iterator[Picture]:
    """Give photos as long as the pipeline keeps up with them."""
    while True:
        try:
            while world.database.unsettled() > BACKLOG:
                time.sleep(1)
        except psycopg2.Error:
            time.sleep(1)  # PostgreSQL is being restarted
            continue
        yield next(world.pictures)
