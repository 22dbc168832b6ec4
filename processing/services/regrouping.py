"""Regrouping a library by another threshold or model: first what it would change, then exactly that."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef

from accounts.models import Library, User
from accounts.problems import ConflictError, InvalidValueError
from photos.models import FaceEmbedding, LibraryThreshold, Regrouping
from photos.services import groups, regroupings
from photos.services.decisions import lock_people_of
from photos.services.regroupings import Move
from processing.consent import is_somebody_being_forgotten
from processing.engines import catalogue
from processing.models import LibraryRun
from processing.models.ledger import Lane
from processing.publish import ring_on_commit
from processing.services import grouping

KIND = "regroup_preview"
QUEUE = grouping.QUEUE
VERSION = "1"
# of people who are split, merged, made or gone: the first are named, all are counted
NAMED_AT_MOST = 50
DECIMALS = 4
# unit vectors are at most 2 apart
LARGEST_THRESHOLD = 2.0

PersonId = UUID | None


class NotGroupedError(ConflictError):
    """The library is not grouped at all; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(f"The library is not grouped: {code}.")
        self.code = code


class ModelNotInUseError(ConflictError):
    """What was computed for another model is applied by `manage.py models use`, for all libraries at once."""

    code = "model_not_in_use"


@dataclass(frozen=True, slots=True)
class Preview:
    """What a regrouping would change; not written yet."""

    regrouping: Regrouping
    basis: str
    moves: list[Move]
    report: dict[str, object]

    def write(self) -> bool:
        """Keep it; False if another one has been asked for since."""
        return regroupings.write(regrouping=self.regrouping, basis=self.basis, moves=self.moves, report=self.report)


@transaction.atomic
def ask(
    *, library: Library, model: str | None = None, threshold: float | None = None, by: User | None = None
) -> Regrouping:
    """Ask for what grouping a library anew would change: by a model, or the one in use; within a threshold, or its own.

    A worker computes it; it takes the place of an earlier one. Raises InvalidValueError for a model that embeds no
    faces or a threshold that cannot be, NotGroupedError where nothing is grouped, ConflictError where the model has no
    vectors in the library.
    """
    rule = grouping.rule_of(library.pk)
    reason = grouping.NO_MODEL if rule is None else grouping.reason_against(library.pk)
    if reason:
        raise NotGroupedError(reason)
    chosen = rule.model if model is None else catalogue.MODELS.get(model)
    if chosen is None or chosen.task != "face_embedding":
        raise InvalidValueError("No model for faces has this name.", field="model")
    within = _threshold_of(library.pk, chosen, rule) if threshold is None else round(threshold, DECIMALS)
    if not math.isfinite(within) or not 0 < within <= LARGEST_THRESHOLD:
        raise InvalidValueError(f"More than 0, and {LARGEST_THRESHOLD:g} at most.", field="threshold")
    vectors = FaceEmbedding.objects.filter(library=library)
    if vectors.exists() and not vectors.filter(model=chosen.name).exists():
        raise ConflictError(f"{chosen.name} has no vectors here: backfill it first (manage.py models backfill).")
    asked = regroupings.ask(library_id=library.pk, model=chosen.name, threshold=within, by=by)
    request(library_id=library.pk)
    return asked


def request(*, library_id: UUID) -> None:
    """Have a worker compute what is asked for; a run that is open already will do."""
    run = LibraryRun(library_id=library_id, kind=KIND, version=VERSION, lane=Lane.UPLOAD, **grouping.pending())
    LibraryRun.objects.bulk_create([run], ignore_conflicts=True)
    ring_on_commit(task=KIND, queue=QUEUE, ids=[library_id])


def request_where_due() -> int:
    """Ask a worker wherever something is to be computed and nobody was asked; not where the last run died of it."""
    runs = LibraryRun.objects.filter(library=OuterRef("library"), kind=KIND)
    asked = Regrouping.objects.filter(~Exists(runs.open()), computed_at__isnull=True)
    due = asked.exclude(Exists(runs.dead().filter(created_at__gte=OuterRef("asked_at"))))
    found = list(due.values_list("library", flat=True))
    for library_id in found:
        request(library_id=library_id)
    return len(found)


def is_due(library_id: UUID) -> bool:
    """Tell whether something is to be computed for a library."""
    return Regrouping.objects.filter(library=library_id, computed_at__isnull=True).exists()


def perform(library_id: UUID) -> Preview | grouping.NothingToDo:
    """Compute what is asked for. Nothing is written until the result's `write` is called."""
    regrouping = Regrouping.objects.filter(library=library_id, computed_at__isnull=True).first()
    if regrouping is None:
        return grouping.NothingToDo("nothing_asked_for")
    if regrouping.model not in catalogue.MODELS:
        return _refused(regrouping, grouping.NO_MODEL)
    if reason := grouping.reason_against(library_id):
        return _refused(regrouping, reason)
    # before anything is read: what changes meanwhile makes it outdated
    basis = regroupings.basis(library_id=library_id, model=regrouping.model)
    faces = groups.read_library(library_id=library_id, model=regrouping.model)
    faces.components[:] = -1
    rule = grouping.rule_with(model=catalogue.get(regrouping.model), threshold=regrouping.threshold)
    grouped = grouping.group_faces(library_id, faces, rule)
    before = dict(zip(faces.face_ids, faces.persons, strict=True))
    new = set(grouped.new_people)
    moves = [
        Move(face_id, before[face_id], person, person in new)
        for face_id, person in sorted(grouped.persons.items())
        if before[face_id] != person
    ]
    elsewhere = regroupings.people_with_faces_elsewhere(library_id=library_id, model=regrouping.model)
    report = {
        "faces": len(faces.face_ids),
        **_diff(before, {**before, **grouped.persons}, new, elsewhere | groups.cherished_people(library_id=library_id)),
    }
    return Preview(regrouping=regrouping, basis=basis, moves=moves, report=report)


def apply(*, regrouping: Regrouping, by: User | None = None) -> int:
    """Apply a regrouping as it was shown, in one transaction, if nothing has changed since; gives the faces moved.

    The library is grouped within its threshold from then on. Raises ModelNotInUseError, and what `regroupings.apply`
    raises.
    """
    library_id = regrouping.library_id
    with transaction.atomic():
        # runs before people, as a grouping locks them that is about to be written
        runs = LibraryRun.objects.open().filter(library=library_id, kind=grouping.KIND)
        list(runs.select_for_update(no_key=True).order_by("pk").values_list("pk"))
        lock_people_of(library_id)
        rule = grouping.rule_of(library_id)
        if rule is None or rule.model.name != regrouping.model:
            raise ModelNotInUseError(
                f"{regrouping.model} is not in use: `manage.py models use` groups all libraries by it."
            )
        if is_somebody_being_forgotten(library_id):
            raise regroupings.RegroupingOutdatedError("Somebody is being forgotten in this library.")
        moved = regroupings.apply(regrouping_id=regrouping.pk, by=by)
        # it finds what was applied, and notes of which groups the faces are
        grouping.request(library_id=library_id, model=rule.model.name)
    return moved


def last_run(library_id: UUID) -> LibraryRun | None:
    """Give the run that computes, or has computed last, what is asked for."""
    return LibraryRun.objects.filter(library=library_id, kind=KIND).order_by("-pk").first()


def _threshold_of(library_id: UUID, model: catalogue.Model, rule: grouping.Rule) -> float:
    if model.name == rule.model.name:
        return rule.threshold
    own = LibraryThreshold.objects.filter(library=library_id, model=model.name).values_list("threshold", flat=True)
    return own.first() or model.threshold


def _refused(regrouping: Regrouping, reason: str) -> grouping.NothingToDo:
    regroupings.refuse(regrouping=regrouping, reason=reason)
    return grouping.NothingToDo(reason)


def _diff(
    before: Mapping[UUID, PersonId], after: Mapping[UUID, PersonId], new: set[UUID], staying: set[UUID]
) -> dict[str, object]:
    """Say what differs, in numbers and with the first of each: of people who are split, merged, made and gone."""
    shares: dict[tuple[PersonId, PersonId], int] = Counter((before[face], after[face]) for face in before)
    goes: dict[UUID, Counter[str]] = defaultdict(Counter)
    comes: dict[UUID, Counter[str]] = defaultdict(Counter)
    for (old, then), count in shares.items():
        if old is not None and then is not None:
            goes[old][str(then)] += count
            comes[then][str(old)] += count
    split = sorted(person for person, parts in goes.items() if len(parts) > 1)
    merged = sorted(person for person, parts in comes.items() if len(parts) > 1)
    made = sorted(new)
    people_before, people_after = {one for one in before.values() if one}, {one for one in after.values() if one}
    gone = sorted(people_before - people_after - staying)
    return {
        "faces_moved": sum(count for (old, then), count in shares.items() if old != then),
        "people_before": len(people_before),
        "people_after": len(people_after),
        **_counted("people_split", split, lambda one: {"into": _parts(goes[one])}),
        **_counted("people_merged", merged, lambda one: {"of": _parts(comes[one])}),
        **_counted("people_made", made, lambda one: {"faces": sum(then == one for then in after.values())}),
        **_counted("people_gone", gone, lambda one: {"faces": sum(old == one for old in before.values())}),
    }


def _counted(name: str, people: Sequence[UUID], about: object) -> dict[str, object]:
    first = [{"person": str(one), **about(one)} for one in people[:NAMED_AT_MOST]]
    return {name: len(people), f"{name}_first": first}


def _parts(parts: Counter[str]) -> list[dict[str, object]]:
    return [{"person": person, "faces": count} for person, count in parts.most_common(NAMED_AT_MOST)]
