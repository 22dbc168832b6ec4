"""`--repair`: a plan that is said first, then done in small steps, and what came of it."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeVar
from uuid import UUID

from accounts.wording import counted
from photos import storage
from photos.models import ObjectSweep
from photos.services import object_sweeps as sweep_requests
from processing.prove import remedies, situation
from processing.prove.findings import Finding, Findings
from processing.prove.sorts import SORTS, Remedy
from processing.services import object_sweeps
from processing.services.object_sweeps import INCOMING_AGE
from processing.services.uploads import sweeping
from processing.stages import registry

PHOTOS_AT_ONCE = 500
SWEEP_SECONDS = 300.0

Item = TypeVar("Item")


@dataclass
class RepairPlan:
    """What a repair is going to do: how many photos by remedy and stage, and what it leaves as it is.

    Deleted are objects written before `objects_before`, and what interrupted writes left before `incoming_before`.
    """

    objects_before: datetime
    incoming_before: datetime
    again: dict[str, int] = field(default_factory=dict)
    planned: int = 0
    doubles: int = 0
    released: int = 0
    grouped: int = 0
    erased: int = 0
    recounted: int = 0
    obeyed: int = 0
    shown: int = 0
    derived: int = 0
    originals: int = 0
    unfinished: int = 0
    uploads: int = 0
    young: int = 0
    left: dict[str, int] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing that it could do."""
        counts = (self.planned, self.doubles, self.released, self.grouped, self.erased, self.recounted, self.obeyed)
        objects = (self.derived, self.originals, self.unfinished, self.uploads)
        return not (self.again or self.shown or any(counts) or any(objects))

    def lines(self, grace: timedelta) -> list[str]:
        """Say it."""
        hours, incoming = (f"{one / timedelta(hours=1):g} h" for one in (grace, max(grace, INCOMING_AGE)))
        wanted = [
            (self.planned, "plan the missing runs of {}", "photo"),
            *(
                (count, f"run {stage} again for {{}}, unless it is dead there", "photo")
                for stage, count in sorted(self.again.items())
            ),
            (self.doubles, "keep one of each double of {}", "photo"),
            (self.released, "release {}", "stuck run"),
            (self.grouped, "ask for the grouping of {}", "library"),
            (self.erased, "erase the faces of {}, whose face analysis is off", "library"),
            (self.recounted, "count the bytes of {} again", "quota"),
            (self.obeyed, "put {} where what was decided of them says", "face"),
            (self.shown, "reckon anew what is shown of {}", "photo"),
            (self.derived, f"delete {{}} older than {hours} that no row names", "derived object"),
            (self.originals, f"DELETE {{}} older than {hours} that no row names", "ORIGINAL"),
            (self.unfinished, f"delete what {{}} older than {incoming} left behind", "interrupted write"),
            (self.uploads, f"delete {{}} of uploads, older than {hours}", "remainder"),
        ]
        said = [text.format(counted(count, noun)) for count, text, noun in wanted if count]
        if self.originals:
            said.append("  (after a database was restored from a backup, these may be the only copies)")
        if self.young:
            said.append(f"leave {counted(self.young, 'object')} younger than {hours}")
        said += [f"cannot repair {count} x {code}: see above what to do" for code, count in sorted(self.left.items())]
        return said


@dataclass
class Repaired:
    """What a repair did. `busy` are photos that were in hand and left alone; `given_up`, those whose run is dead."""

    runs_planned: int = 0
    runs_again: int = 0
    photos_given_up: int = 0
    photos_undoubled: int = 0
    photos_busy: int = 0
    runs_moved: int = 0
    groupings_asked_for: int = 0
    erasures_asked_for: int = 0
    counters_mended: int = 0
    decisions_obeyed: int = 0
    photos_reckoned: int = 0
    objects_deleted: int = 0
    objects_left: int = 0
    writes_cleared: int = 0
    uploads_cleared: int = 0

    def lines(self) -> list[str]:
        """Say it."""
        said = [
            (self.runs_planned, "{} planned", "run"),
            (self.runs_again, "{} opened again", "run"),
            (self.photos_given_up, "{} left: the run is dead or discarded, which a person retries", "photo"),
            (self.photos_undoubled, "doubles removed from {}", "photo"),
            (self.photos_busy, "{} in hand: repeat --repair for them", "photo"),
            (self.runs_moved, "{} taken back or planned anew", "run"),
            (self.groupings_asked_for, "{} asked for", "grouping"),
            (self.erasures_asked_for, "{} of faces asked for", "erasure"),
            (self.counters_mended, "{} set right", "counter"),
            (self.decisions_obeyed, "{} put where what was decided of them says", "face"),
            (self.photos_reckoned, "{} shown by what their sources say", "photo"),
            (self.objects_deleted, "{} deleted", "object"),
            (self.objects_left, "{} left to the sweep: in hand at the moment", "object"),
            (self.writes_cleared, "{} cleared away", "interrupted write"),
            (self.uploads_cleared, "{} of uploads cleared away", "remainder"),
        ]
        return [text.format(counted(count, noun)) for count, text, noun in said if count] or ["nothing was done"]


def plan(findings: Findings, *, grace: timedelta) -> RepairPlan:
    """Say what a repair would do. Objects younger than `grace` are left."""
    now = situation.database_now()
    made = RepairPlan(
        objects_before=now - grace,
        # a younger one may be of a write that goes on, however short the grace
        incoming_before=now - max(grace, INCOMING_AGE),
        planned=findings.distinct("photo", Remedy.PLAN),
        doubles=findings.distinct("photo", Remedy.REMOVE_DOUBLES),
        released=findings.distinct("id", Remedy.RELEASE),
        grouped=findings.distinct("library", Remedy.GROUP),
        erased=findings.distinct("library", Remedy.ERASE_FACES),
        recounted=findings.distinct("id", Remedy.RECOUNT),
        obeyed=findings.distinct("id", Remedy.OBEY),
        shown=findings.distinct("photo", Remedy.SHOW),
        left={code: count for code, count in findings.by_code() if SORTS[code].remedy is Remedy.NONE},
    )
    for stage in registry.all_stages():
        if count := findings.distinct("photo", Remedy.RERUN, stage=stage.name):
            made.again[stage.name] = count
    for finding in findings.all(remedy=Remedy.DELETE_OBJECT):
        _count_object(made, finding)
    return made


def repair(findings: Findings, *, plan: RepairPlan, advance: Callable[[int], None]) -> Repaired:
    """Do what the plan says about the findings, a few at a time; `advance` is told of how many findings.

    May be cut off anywhere and repeated. No object that a row names is deleted: that is asked again at the moment of
    deletion, while no stage can be at work on the photo.
    """
    done = Repaired()
    for some in _chunks(findings.all(remedy=Remedy.PLAN)):
        done.runs_planned += remedies.plan_missing(photo_ids=_photos(some))
        advance(len(some))
    seen: set[str] = set()
    for finding in findings.all(remedy=Remedy.REMOVE_DOUBLES):
        if finding.photo not in seen:
            seen.add(finding.photo)
            is_done = remedies.remove_doubles(photo_id=UUID(finding.photo))
            done.photos_undoubled += is_done
            done.photos_busy += not is_done
        advance(1)
    for stage in registry.all_stages():
        of_stage = (one for one in findings.all(remedy=Remedy.RERUN) if one.stage == stage.name)
        for some in _chunks(of_stage):
            vectors = [UUID(one.item) for one in some if one.code == "embedding_wrong"]
            if vectors:
                remedies.remove_vectors(embedding_ids=vectors)
            done.runs_again += remedies.run_again(photo_ids=_photos(some), stage=stage.name)
            done.photos_given_up += remedies.given_up(photo_ids=_photos(some), stage=stage.name)
            advance(len(some))
    for some in _chunks(findings.all(remedy=Remedy.RELEASE)):
        done.runs_moved += remedies.release(photo_ids=_photos(some), stages={one.stage for one in some})
        advance(len(some))
    for some in _chunks(findings.all(remedy=Remedy.GROUP)):
        done.groupings_asked_for += remedies.group(library_ids={UUID(one.library) for one in some})
        advance(len(some))
    erased: set[UUID] = set()
    for some in _chunks(findings.all(remedy=Remedy.ERASE_FACES)):
        libraries = {UUID(one.library) for one in some} - erased
        done.erasures_asked_for += remedies.erase_faces(library_ids=libraries) if libraries else 0
        erased |= libraries
        advance(len(some))
    for finding in findings.all(remedy=Remedy.RECOUNT):
        done.counters_mended += remedies.recount(library=finding.library, user=finding.user)
        advance(1)
    _obey(findings, done, advance=advance)
    for some in _chunks(findings.all(remedy=Remedy.SHOW)):
        done.photos_reckoned += remedies.show(photo_ids=_photos(some))
        advance(len(some))
    _delete_objects(findings, done, plan=plan, advance=advance)
    return done


def _obey(findings: Findings, done: Repaired, *, advance: Callable[[int], None]) -> None:
    for some in _chunks(findings.all(remedy=Remedy.OBEY)):
        for library in sorted({one.library for one in some}):
            faces = {UUID(one.subject) for one in some if one.library == library}
            done.decisions_obeyed += remedies.obey(library_id=UUID(library), face_ids=faces)
        advance(len(some))


def _delete_objects(findings: Findings, done: Repaired, *, plan: RepairPlan, advance: Callable[[int], None]) -> None:
    for some in _chunks(findings.all(code="object_unnamed")):
        old = [one for one in some if one.modified_at <= plan.objects_before]
        sweeps = {_sweep_of(one) for one in old}
        sweep_requests.request_all(sweeps=sweeps, reason=ObjectSweep.Reason.LOST)
        _sweep(old)
        left = sum(_is_there(one) for one in old)
        done.objects_left += left
        done.objects_deleted += len(old) - left
        advance(len(some))
    if plan.uploads:
        done.uploads_cleared = sweeping.sweep().ended + sweeping.sweep_unnamed(written_before=plan.objects_before)
    if plan.unfinished:
        done.writes_cleared = storage.sweep_incoming(older_than=situation.database_now() - plan.incoming_before)


def _sweep(old: list[Finding]) -> None:
    """Sweep until nothing is due any more, or what is left is in hand."""
    deadline = time.monotonic() + SWEEP_SECONDS
    while old and time.monotonic() < deadline and object_sweeps.sweep().prefixes:
        pass


def _sweep_of(finding: Finding) -> tuple[str, str]:
    alias, _, key = finding.item.partition("/")
    return (alias, key) if alias == storage.ORIGINALS else (alias, f"{key.rpartition('/')[0]}/")


def _is_there(finding: Finding) -> bool:
    alias, _, key = finding.item.partition("/")
    return storage.find_object(alias=alias, key=key) is not None


def _count_object(made: RepairPlan, finding: Finding) -> None:
    is_incoming = finding.code == "upload_unfinished"
    if finding.modified_at > (made.incoming_before if is_incoming else made.objects_before):
        made.young += 1
    elif finding.code == "upload_left":
        made.uploads += 1
    elif is_incoming:
        made.unfinished += 1
    elif finding.item.startswith(f"{storage.ORIGINALS}/"):
        made.originals += 1
    else:
        made.derived += 1


def _photos(some: Iterable[Finding]) -> list[UUID]:
    return sorted({UUID(one.photo) for one in some if one.photo})


def _chunks(findings: Iterator[Finding]) -> Iterator[list[Finding]]:
    while some := list(islice(findings, PHOTOS_AT_ONCE)):
        yield some
