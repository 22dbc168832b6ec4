"""Dead letters as they are read: alone, and by what they have in common."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Max, Min, Q, QuerySet

from accounts.models import Library
from photos.models import Photo
from processing.ledger import errors
from processing.models import LibraryRun, RunState, StageRun
from processing.models.ledger import DISCARDED

LIBRARIES_NAMED = 5
# what tells groups apart; rows older than fingerprints have none, and are told apart by the other two
_STAGE_KEY = ("fingerprint", "stage", "error_code")
_LIBRARY_KEY = ("fingerprint", "kind", "error_code")

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a run is about: `work` is the name of its stage, or its kind; work on a library has no photo."""

    work: str
    library: Library
    photo: Photo | None


@dataclass(frozen=True, slots=True)
class DeadLetterGroup:
    """Dead runs that failed in the same way.

    `first_seen` and `last_seen` are when the first and the last of them died. `libraries` names those with the most of
    them, LIBRARIES_NAMED at most. The sample is the one that died last; `exception` and `frame` are its.
    """

    fingerprint: str
    work: str
    error_code: str
    exception: str
    frame: str
    count: int
    first_seen: datetime
    last_seen: datetime
    libraries: list[str]
    library_count: int
    sample_run_id: UUID
    sample_photo_id: UUID | None
    is_library_work: bool


def groups(runs: QuerySet[StageRun], library_runs: QuerySet[LibraryRun]) -> list[DeadLetterGroup]:
    """Group the dead ones among these runs by fingerprint, what died last first.

    Reads all of them, and nothing of the ledger that is not dead; five queries, however many there are.
    """
    found = [
        *_Tally(runs.filter(state=RunState.DEAD), key=_STAGE_KEY, library="photo__library", photo="photo_id").sums(),
        *_Tally(library_runs.filter(state=RunState.DEAD), key=_LIBRARY_KEY, library="library", photo=None).sums(),
    ]
    wanted = {library_id for _, ids in found for library_id in ids}
    names = dict(Library.objects.filter(pk__in=wanted).values_list("pk", "name"))
    named = [replace(group, libraries=[names[one] for one in ids if one in names]) for group, ids in found]
    return sorted(named, key=lambda group: (group.last_seen, group.fingerprint), reverse=True)


def alike(given: str) -> tuple[QuerySet[StageRun], QuerySet[LibraryRun]]:
    """Give the dead runs of one fingerprint, of both ledgers."""
    return listing(fingerprint=given)


def listing(
    *,
    discarded: bool = False,
    work: str = "",
    error_code: str = "",
    library_id: UUID | None = None,
    fingerprint: str = "",
) -> tuple[QuerySet[StageRun], QuerySet[LibraryRun]]:
    """Give the dead runs of both ledgers, or the discarded ones, narrowed by what is given.

    `work` is the name of a stage, or a kind of library work.
    """
    wanted = Q(skip_reason=DISCARDED) if discarded else Q(state=RunState.DEAD)
    given = {"work": work, "error_code": error_code, "library_id": library_id, "fingerprint": fingerprint}
    return narrow(StageRun.objects.filter(wanted), **given), narrow(LibraryRun.objects.filter(wanted), **given)


def narrow(
    runs: QuerySet, *, work: str = "", error_code: str = "", library_id: UUID | None = None, fingerprint: str = ""
) -> QuerySet:
    """Keep of the runs of one ledger those that are meant; what is empty is open."""
    if work:
        runs = runs.filter(**{runs.model.WORK: work})
    if error_code:
        runs = runs.filter(error_code=error_code)
    if library_id:
        runs = runs.filter(**{"library" if runs.model is LibraryRun else "photo__library": library_id})
    if fingerprint:
        runs = runs.filter(failed_alike(runs, fingerprint))
    return runs


def failed_alike(runs: QuerySet, given: str) -> Q:
    """Match runs of one fingerprint; of the rows older than fingerprints, those that these runs have of it."""
    work = runs.model.WORK
    same = Q(fingerprint=given)
    for name, error in runs.filter(fingerprint="").order_by().values_list(work, "error_code").distinct():
        if _unmarked(name, error) == given:
            same |= Q(**{"fingerprint": "", work: name, "error_code": error})
    return same


def shown(runs: QuerySet[StageRun] | QuerySet[LibraryRun]) -> QuerySet:
    """Add to runs of either ledger what is shown of each."""
    return runs.select_related("library" if runs.model is LibraryRun else "photo__library", "discarded_by")


def subject_of(run: StageRun | LibraryRun) -> Subject:
    """Say what a run of either ledger is about."""
    if isinstance(run, LibraryRun):
        return Subject(work=run.kind, library=run.library, photo=None)
    return Subject(work=run.stage, library=run.photo.library, photo=run.photo)


def fingerprint_of(run: StageRun | LibraryRun) -> str:
    """Give a run's fingerprint; that of an older row is made of what it has."""
    return run.fingerprint or _unmarked(subject_of(run).work, run.error_code)


def find(run_id: UUID) -> StageRun | LibraryRun | None:
    """Find a run in either ledger, with its photo, its library and who discarded it."""
    found = (shown(ledger.objects.filter(pk=run_id)).first() for ledger in (StageRun, LibraryRun))
    return next((run for run in found if run), None)


class _Tally:
    """Sums up the dead runs of one ledger."""

    def __init__(self, dead: QuerySet, *, key: tuple[str, str, str], library: str, photo: str | None) -> None:
        self.dead = dead
        self.key = key
        self.library = library
        self.photo = photo

    def sums(self) -> Iterator[tuple[DeadLetterGroup, list[UUID]]]:
        """Give each group, and the libraries to be named in it."""
        # by library as well: adding up a few rows here is cheaper than counting distinct libraries there
        rows = self.dead.order_by().values_list(*self.key, self.library)
        by_group: dict[Key, list[tuple[UUID, int, datetime, datetime]]] = {}
        for code, work, error, *rest in rows.annotate(Count("pk"), Min("finished_at"), Max("finished_at")):
            by_group.setdefault(_key(code, work, error), []).append(tuple(rest))
        samples = self._samples() if by_group else {}
        for key, parts in by_group.items():
            if key in samples:  # else the last of them was taken up between the two queries
                yield self._group(key, parts, samples[key])

    def _samples(self) -> dict[Key, tuple[UUID, str, str, UUID | None]]:
        columns = ["finished_at", "pk", "exception", "frame", *([self.photo] if self.photo else [])]
        newest = self.dead.order_by(*self.key, "-finished_at").distinct(*self.key).values_list(*self.key, *columns)
        found: dict[Key, tuple[datetime, tuple[UUID, str, str, UUID | None]]] = {}
        for code, work, error, ended, pk, exception, frame, *photo in newest:
            key = _key(code, work, error)
            if key not in found or found[key][0] < ended:
                found[key] = ended, (pk, exception, frame, photo[0] if photo else None)
        return {key: sample for key, (_, sample) in found.items()}

    def _group(
        self, key: Key, parts: list[tuple[UUID, int, datetime, datetime]], sample: tuple[UUID, str, str, UUID | None]
    ) -> tuple[DeadLetterGroup, list[UUID]]:
        by_library: dict[UUID, int] = {}
        for library_id, count, _, _ in parts:
            by_library[library_id] = by_library.get(library_id, 0) + count
        most = sorted(by_library, key=lambda one: (-by_library[one], one))[:LIBRARIES_NAMED]
        run_id, exception, frame, photo_id = sample
        group = DeadLetterGroup(
            fingerprint=key[0],
            work=key[1],
            error_code=key[2],
            exception=exception,
            frame=frame,
            count=sum(by_library.values()),
            first_seen=min(first for _, _, first, _ in parts),
            last_seen=max(last for _, _, _, last in parts),
            libraries=[],
            library_count=len(by_library),
            sample_run_id=run_id,
            sample_photo_id=photo_id,
            is_library_work=self.photo is None,
        )
        return group, most


def _key(code: str, work: str, error: str) -> Key:
    return code or _unmarked(work, error), work, error


def _unmarked(work: str, error_code: str) -> str:
    """Give the fingerprint of what has no exception: a process that was lost, and rows older than fingerprints."""
    return errors.fingerprint(work=work, error=errors.RunError(code=error_code, detail=""))
