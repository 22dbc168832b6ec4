"""The proof: every check over everything, then a second look at whatever looked wrong."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from photos import storage
from photos.models import Face, Photo, Rendition
from processing.prove import settling, situation
from processing.prove.acknowledged import AcknowledgedCheck
from processing.prove.contents import StoreUnavailableError
from processing.prove.counters import CounterCheck
from processing.prove.decisions import DecisionCheck
from processing.prove.findings import Finding, Findings
from processing.prove.leftovers import IncomingCheck, UploadCheck, VectorCheck
from processing.prove.library_work import LibraryCheck
from processing.prove.listing import ALIASES, Listing, scratch
from processing.prove.objects import ObjectCheck
from processing.prove.photo_check import PhotoCheck
from processing.prove.situation import Situation
from processing.prove.tally import Tally

# bytes come from disks and buckets, and hashing lets other threads run
READERS = 8
# what is planned, paused and moving is asked again so often
SITUATION_SECONDS = 10.0
LOOK_AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Scope:
    """What is to be proved: of everything or of one library, with every byte or by the stores' listings."""

    library_id: UUID | None = None
    with_bytes: bool = True
    acknowledged: Path | None = None
    settle_seconds: float = 0


class Watcher(Protocol):
    """Is told how far a proof is."""

    def begin(self, what: str, total: int | None) -> None:
        """A part begins, of so many things; none if nobody knows."""

    def advance(self, count: int) -> None:
        """So many more are done."""


class Check(Protocol):
    """One part of the proof."""

    name: str

    def total(self) -> int | None:
        """How many things there are to look at."""

    def batches(self) -> Iterator[Sequence[Any]]:
        """The things, some at a time."""

    def examine(self, some: Sequence[Any], now: Situation, tally: Tally, /) -> list[Finding]:
        """What is wrong with them."""

    def again(self, subjects: Sequence[str], now: Situation, /) -> list[Finding]:
        """What is wrong with the subjects of earlier findings by now."""


@dataclass
class Proof:
    """What was found. `is_settled`: whether the pipeline had settled; none if nobody asked for it.

    `empty_stores` are those with nothing in them although rows name objects there: perhaps they are not mounted.
    """

    findings: Findings
    tally: Tally
    scope: Scope
    seconds: float = 0
    is_settled: bool | None = None
    empty_stores: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether all five counts are zero, and nothing was still moving that should have settled."""
        return self.is_settled is not False and not self.has_offences

    @property
    def has_offences(self) -> bool:
        """Whether one of the five counts is not zero."""
        return any(self.findings.counts().values())


@contextmanager
def prove(scope: Scope, *, watcher: Watcher) -> Iterator[Proof]:
    """Compare what was acknowledged with what is there; the findings are gone when the block ends.

    Changes nothing, and holds no transaction open. Raises AcknowledgedFileError, StoreUnavailableError, and the
    database's and the stores' own errors.
    """
    started = time.monotonic()
    with scratch() as database, ThreadPoolExecutor(READERS, thread_name_prefix="prove") as readers:
        listing = Listing(database)
        proof = Proof(findings=Findings(database), tally=Tally(), scope=scope)
        checks: list[Check] = [
            PhotoCheck(library_id=scope.library_id, listing=None if scope.with_bytes else listing, readers=readers),
            ObjectCheck(listing),
            LibraryCheck(scope.library_id),
            CounterCheck(scope.library_id),
            DecisionCheck(scope.library_id),
        ]
        if scope.acknowledged:
            # first: a file that cannot be read is said at once
            checks.insert(0, AcknowledgedCheck(scope.acknowledged, database, library_id=scope.library_id))
            checks[0].total()
        if scope.library_id is None:
            checks += [VectorCheck(), IncomingCheck(), UploadCheck()]
        if scope.settle_seconds:
            watcher.begin("settle", None)
            proof.is_settled = settling.wait(scope.settle_seconds, watch=lambda _: watcher.advance(1))
        watcher.begin("list stores", None)
        listing.read(library_id=scope.library_id, advance=watcher.advance)
        proof.empty_stores = empty_stores(scope)
        _look(checks, proof, watcher)
        _see_stores(proof)
        _look_again({check.name: check for check in checks}, proof, watcher)
        _see_stores(proof)
        proof.seconds = time.monotonic() - started
        yield proof


def _look(checks: Sequence[Check], proof: Proof, watcher: Watcher) -> None:
    now, read_at = situation.read(), time.monotonic()
    for check in checks:
        watcher.begin(check.name, check.total())
        for some in check.batches():
            if time.monotonic() - read_at > SITUATION_SECONDS:
                now, read_at = situation.read(), time.monotonic()
            proof.findings.add(check.examine(some, now, proof.tally))
            watcher.advance(len(some))


def _look_again(checks: dict[str, Check], proof: Proof, watcher: Watcher) -> None:
    """Look again at what looked wrong, at once, and at what may be changing until it has had time to.

    The checks read query by query while others write, so a first look proves nothing: what is an offence is there
    again, the same.
    """
    watcher.begin("look again", None)
    deadline = time.monotonic() + (2 * situation.lease() + situation.patience()).total_seconds()
    while True:
        now = situation.read()
        for some in proof.findings.doubtful():
            _repeat(checks, some, proof.findings, now)
            watcher.advance(len(some))
        ripe_at = proof.findings.ripest()
        if ripe_at is None:
            return
        if time.monotonic() >= deadline:
            break
        time.sleep(_until(ripe_at, situation.database_now()))
    proof.findings.settle()


def _repeat(checks: dict[str, Check], some: Sequence[tuple[int, Finding]], findings: Findings, now: Situation) -> None:
    subjects: dict[str, dict[str, None]] = defaultdict(dict)
    for _, finding in some:
        subjects[finding.check][finding.subject] = None
    still = {
        finding.identity: finding
        for name, of_check in subjects.items()
        for finding in checks[name].again(list(of_check), now)
    }
    kept = [still[finding.identity] for _, finding in some if finding.identity in still]
    findings.replace([number for number, _ in some], kept, now=now.now)


def _until(ripe_at: datetime, now: datetime) -> float:
    return min(max(LOOK_AGAIN_SECONDS, (ripe_at - now) / timedelta(seconds=1)), 5 * LOOK_AGAIN_SECONDS)


def _see_stores(proof: Proof) -> None:
    """Raise StoreUnavailableError where a store has gone away meanwhile: whatever lies in it would be missing."""
    if gone := set(empty_stores(proof.scope)) - set(proof.empty_stores):
        raise StoreUnavailableError(f"Nothing lies in {', '.join(sorted(gone))} any more. Is it mounted?")


def empty_stores(scope: Scope) -> list[str]:
    """Name the stores in which nothing lies although rows name objects there."""
    photos = Photo.objects.all() if scope.library_id is None else Photo.objects.filter(library_id=scope.library_id)
    if not photos.exists():
        return []
    return [alias for alias in ALIASES if storage.is_store_empty(alias=alias) and _names_objects(alias)]


def _names_objects(alias: str) -> bool:
    if alias == storage.ORIGINALS:
        return Photo.objects.filter(storage_alias=alias).exists()
    return Rendition.objects.exists() or Face.objects.exists()
