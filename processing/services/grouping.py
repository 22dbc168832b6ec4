"""Grouping faces into people: when it is due, and what one grouping does. A library's work, not a photo's."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from photos.models import FaceEmbedding, GroupLoss, LibraryThreshold
from photos.services import face_persons, groups
from photos.services.decisions import FREE, FaceVerdict
from processing.consent import is_somebody_being_forgotten, libraries_wanting_faces
from processing.engines import catalogue
from processing.models import LibraryRun, ModelSelection, RunState
from processing.models.ledger import DISCARDED, Lane
from processing.models_in_use import ModelNotInUseError
from processing.publish import ring_on_commit
from processing.stages.base import FACE_ANALYSIS_OFF

if TYPE_CHECKING:
    from processing.engines.grouping import Decisions, Verdicts

KIND = "people"
QUEUE = "people"
CODE_VERSION = "2"
NO_MODEL = "no_model_in_use"
FORGETTING = "person_being_forgotten"


@dataclass(frozen=True, slots=True)
class Rule:
    """How a library is grouped: by which model, within which distance in that model's metric, and which faces.

    `confidence` and `quality` are the floors of the faces that are grouped.
    """

    model: catalogue.Model
    threshold: float
    confidence: float
    quality: float

    @property
    def version(self) -> str:
        """Another version means that everything has to be grouped from scratch."""
        floors = f"{self.confidence:g}-{self.quality:g}"
        return f"{CODE_VERSION}.{self.model.name}.{self.threshold:g}.{floors}"


@dataclass(frozen=True, slots=True)
class NothingToDo:
    """Why a library is not grouped, as a stable code."""

    reason: str


@dataclass(frozen=True, slots=True)
class Grouped:
    """What a grouping found for the faces that it touched, by embedding and by face; not written yet."""

    library_id: UUID
    model: str
    face_count: int
    components: dict[UUID, int]
    persons: dict[UUID, UUID | None]
    new_people: list[UUID]
    losses: list[GroupLoss]
    let_go: list[groups.LetGo]
    verdicts: dict[UUID, FaceVerdict]
    # everything was grouped anew, maybe because a floor was moved
    is_from_scratch: bool = False

    def write(self) -> dict[str, int]:
        """Write it; gives the report."""
        moved = groups.write_grouping(
            library_id=self.library_id,
            model=self.model,
            components=self.components,
            persons=self.persons,
            new_people=self.new_people,
            losses=self.losses,
            let_go=self.let_go,
            verdicts=self.verdicts,
        )
        if self.is_from_scratch:
            face_persons.recount_faces(library_id=self.library_id)
        return {
            "faces": self.face_count,
            "regrouped": len(self.persons),
            "people_made": len(self.new_people),
            "faces_moved": moved,
        }


def rule_in_use() -> Rule | None:
    """Give the rule of the embedding model in use; none if there is none, or only a newer release knows it.

    A library may have a threshold of its own: see `rule_of`.
    """
    name = _model_in_use()
    if name not in catalogue.MODELS:
        return None
    model = catalogue.get(name)
    threshold = settings.FACE_CLUSTER_THRESHOLD
    return rule_with(model=model, threshold=model.threshold if threshold is None else threshold)


def rule_with(*, model: catalogue.Model, threshold: float) -> Rule:
    """Give the rule of a model and a threshold, under the floors that are set."""
    return Rule(
        model=model,
        threshold=threshold,
        confidence=settings.FACE_MIN_CONFIDENCE,
        quality=settings.FACE_MIN_QUALITY,
    )


def require_rule() -> Rule:
    """Give the rule in use. Raises ModelNotInUseError."""
    rule = rule_in_use()
    if rule is None:
        raise ModelNotInUseError("face_embedding")
    return rule


def rule_of(library_id: UUID) -> Rule | None:
    """Give the rule by which a library is grouped: that in use, with the library's own threshold if it has one."""
    rule = rule_in_use()
    return rule and _own_rules(rule, among=[library_id]).get(library_id, rule)


def rules_of_all() -> list[Rule]:
    """Give the rules by which any library is grouped."""
    rule = rule_in_use()
    return [rule, *set(_own_rules(rule).values())] if rule else []


def _own_rules(rule: Rule, *, among: Collection[UUID] | None = None) -> dict[UUID, Rule]:
    """Give the rules of libraries that have a threshold of their own for the rule's model."""
    rows = LibraryThreshold.objects.filter(model=rule.model.name)
    if among is not None:
        rows = rows.filter(library__in=among)
    return {one: replace(rule, threshold=threshold) for one, threshold in rows.values_list("library", "threshold")}


def is_for_another_release() -> bool:
    """Tell whether a model is in use that this release does not know: its groupings are left to a newer one."""
    name = _model_in_use()
    return name is not None and name not in catalogue.MODELS


def request(*, library_id: UUID, model: str) -> None:
    """Ask for a grouping of a library, if `model` is the one in use; one that is open already will do.

    A request that falls into the end of a running grouping may be lost; the reconciler makes up for it.
    """
    rule = rule_of(library_id)
    if rule is None or rule.model.name != model:
        return
    # one that was asked for under another rule is done under this one
    LibraryRun.objects.filter(library_id=library_id, kind=KIND, state=RunState.PENDING).exclude(
        version=rule.version
    ).update(version=rule.version)
    LibraryRun.objects.bulk_create(
        [LibraryRun(library_id=library_id, kind=KIND, version=rule.version, lane=Lane.UPLOAD, **pending())],
        ignore_conflicts=True,
    )
    ring_on_commit(task=KIND, queue=QUEUE, ids=[library_id])


def request_where_due() -> int:
    """Ask for a grouping of every library that has something no grouping has read; gives how many were asked for.

    Not where the last one died under the same rule: that one waits for a person, or for new faces, and stays given up
    where a person has discarded it.
    """
    rule = rule_in_use()
    if rule is None:
        return 0
    # one that was asked for under another rule would be claimed by nobody
    pending = LibraryRun.objects.filter(kind=KIND, state=RunState.PENDING)
    own = _own_rules(rule)
    pending.exclude(version=rule.version).exclude(library__in=own).update(version=rule.version)
    for library_id, its_own in own.items():
        pending.filter(library=library_id).exclude(version=its_own.version).update(version=its_own.version)
    due = libraries_due(rule)
    for library_id in due:
        request(library_id=library_id, model=rule.model.name)
    return len(due)


def libraries_due(rule: Rule, *, among: Collection[UUID] | None = None) -> list[UUID]:
    """Give the libraries, of all or of those `among`, for which a grouping is to be asked for, be one open or not.

    `rule` is the one in use, which those with a threshold of their own have with that.
    """
    own = _own_rules(rule, among=among)
    found = [(library_id, own.get(library_id, rule)) for library_id in _libraries_with_faces(rule, among)]
    due = [(library_id, its) for library_id, its in found if is_due(library_id=library_id, rule=its)]
    return [library_id for library_id, its in due if not _is_dead_letter(library_id, its)]


def is_due(*, library_id: UUID, rule: Rule) -> bool:
    """Tell whether a library's groups are not what grouping it now would give."""
    if groups.has_ungrouped(library_id=library_id, model=rule.model.name):
        return True
    last = _last_version(library_id)
    return last is not None and last != rule.version


def perform(library_id: UUID) -> Grouped | NothingToDo:
    """Group a library's faces. Nothing is written until the result's `write` is called, in the fenced transaction.

    Recomputes only what has changed since the last grouping, unless the rule has: the result is the same as from
    scratch.
    """
    rule = rule_of(library_id)
    if rule is None:
        return NothingToDo(NO_MODEL)
    reason = reason_against(library_id)
    if reason:
        return NothingToDo(reason)
    faces = groups.read_library(library_id=library_id, model=rule.model.name)
    is_from_scratch = _last_version(library_id) != rule.version
    if is_from_scratch:
        faces.components[:] = -1
    return replace(group_faces(library_id, faces, rule), is_from_scratch=is_from_scratch)


def group_faces(library_id: UUID, faces: groups.LibraryFaces, rule: Rule) -> Grouped:
    """Group faces that were read by a rule; those whose component is -1 have to be, the others where that touches them.

    Decisions that were read with them are obeyed, whatever the rule says.
    """
    # imports SciPy, which the web process needs for nothing else
    from processing.engines.grouping import NewPerson, assign_persons, regroup

    found = regroup(
        faces.vectors,
        faces.components,
        {one.component for one in (*faces.losses, *faces.let_go)},
        threshold=rule.threshold,
        metric=rule.model.metric,
        decisions=_decisions(faces),
    )
    touched = [int(index) for index in found.touched]
    assigned = assign_persons(
        found.labels,
        vectors=faces.vectors[found.touched],
        metric=rule.model.metric,
        previous=[faces.persons[index] for index in touched],
        verdicts=_verdicts(faces, touched, cherished=groups.cherished_people(library_id=library_id)),
    )
    new_ids = {one: groups.new_person_id() for one in assigned if isinstance(one, NewPerson)}
    chosen = [new_ids.get(one, one) for one in assigned]
    return Grouped(
        library_id=library_id,
        model=rule.model.name,
        face_count=len(faces.face_ids),
        components={faces.embedding_ids[i]: int(c) for i, c in zip(touched, found.components, strict=True)},
        persons={faces.face_ids[i]: person for i, person in zip(touched, chosen, strict=True)},
        new_people=list(new_ids.values()),
        losses=faces.losses,
        let_go=faces.let_go,
        verdicts=faces.verdicts,
    )


def _decisions(faces: groups.LibraryFaces) -> "Decisions":
    """Say what was decided of the rows, with numbers for people: the older one has the lower."""
    from processing.engines.grouping import NOBODY, Decisions

    people = {one.person_id for one in faces.verdicts.values() if one.person_id}
    people |= {person for one in faces.verdicts.values() for person in one.barred}
    number = {person: place for place, person in enumerate(sorted(people))}
    pinned, barred = {}, {}
    for row, face_id in enumerate(faces.face_ids) if faces.verdicts else ():
        verdict = faces.verdicts.get(face_id, FREE)
        if verdict.is_pinned:
            pinned[row] = NOBODY if verdict.person_id is None else number[verdict.person_id]
        if verdict.barred:
            barred[row] = frozenset(number[person] for person in verdict.barred)
    return Decisions(pinned=pinned, barred=barred)


def _verdicts(faces: groups.LibraryFaces, touched: Sequence[int], *, cherished: set[UUID]) -> "Verdicts":
    """Say what was decided of the rows `touched`, by their places there."""
    from processing.engines.grouping import Verdicts

    found = {place: faces.verdicts.get(faces.face_ids[row], FREE) for place, row in enumerate(touched)}
    return Verdicts(
        pinned={place: one.person_id for place, one in found.items() if one.is_pinned},
        held={place for place, one in found.items() if one.is_held},
        barred={place: one.barred for place, one in found.items() if one.barred},
        anchored={one.person_id for one in faces.verdicts.values() if one.person_id},
        cherished=cherished,
    )


def reason_against(library_id: UUID) -> str:
    """Say why a library is not grouped now; empty where it is."""
    if not libraries_wanting_faces().filter(pk=library_id).exists():
        return FACE_ANALYSIS_OFF
    # asked for again by the end of that
    return FORGETTING if is_somebody_being_forgotten(library_id) else ""


def _libraries_with_faces(rule: Rule, among: Collection[UUID] | None) -> list[UUID]:
    libraries = libraries_wanting_faces()
    if among is not None:
        libraries = libraries.filter(pk__in=among)
    of_model = {"library": OuterRef("pk"), "model": rule.model.name}
    # of each library one row is looked for, and not all of its vectors for the libraries that they are of
    rows, losses = Exists(FaceEmbedding.objects.filter(**of_model)), Exists(GroupLoss.objects.filter(**of_model))
    return list(libraries.filter(rows | losses).values_list("pk", flat=True))


def _model_in_use() -> str | None:
    rows = ModelSelection.objects.filter(task="face_embedding", in_use=True)
    return rows.values_list("model", flat=True).first()


def _is_dead_letter(library_id: UUID, rule: Rule) -> bool:
    """Whether the last run is dead, or was and has been discarded."""
    last = LibraryRun.objects.filter(library_id=library_id, kind=KIND).order_by("-id").first()
    if last is None or last.version != rule.version:
        return False
    return last.state == RunState.DEAD or last.skip_reason == DISCARDED


def _last_version(library_id: UUID) -> str | None:
    runs = LibraryRun.objects.filter(library_id=library_id, kind=KIND, state=RunState.DONE)
    return runs.order_by("-finished_at").values_list("version", flat=True).first()


def pending() -> dict[str, object]:
    """Give the columns of a run that is to be done."""
    return {"state": RunState.PENDING, "queued_at": Now()}
