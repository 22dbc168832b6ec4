"""Decisions as rows: what is said of each face, kept so that a later one ends an earlier one and can be undone.

All of it in the caller's transaction, which has locked the library's people, then faces, then people.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db import connection
from django.db.models import BooleanField, ExpressionWrapper, Q

from accounts.models import ErasureKind, ErasureReceipt, User
from accounts.problems import ConflictError, NotFoundError
from photos.models import (
    DecisionKind,
    Face,
    FaceEmbedding,
    FaceLink,
    GroupLoss,
    LinkKind,
    Person,
    PersonDecision,
    is_kept,
)
from photos.services import shown
from photos.services.face_persons import tell_changed

# a key of our own among advisory locks of two numbers: "face"
_PEOPLE_LOCK = 0x66616365
ROWS_AT_ONCE = 1000
MUST = (LinkKind.IS, LinkKind.HELD)


class BeingForgottenError(ConflictError):
    """Somebody has asked for the erasure of a person, which has not ended."""

    code = "being_forgotten"


class ContradictsDecisionError(ConflictError):
    """It would break what somebody decided before of a single face; `decisions` and `faces` are named by their keys."""

    code = "contradicts_decision"


@dataclass(frozen=True, slots=True)
class Said:
    """What a decision says of one face: its new link."""

    face_id: UUID
    kind: LinkKind
    person_id: UUID | None


@dataclass(frozen=True, slots=True)
class FaceVerdict:
    """What is in force for one face: whether it is pinned, to whom (None: nobody), if only held, and who it is not."""

    is_pinned: bool = False
    person_id: UUID | None = None
    is_held: bool = False
    barred: frozenset[UUID] = field(default_factory=frozenset)


FREE = FaceVerdict()


def lock_people_of(library_id: UUID) -> None:
    """Wait for whoever decides about people of a library, or writes a grouping of it; held until the transaction ends.

    It comes after a run's row and before all others. So nobody gives a person faces while another looks whose there
    are, and whom it leads to where people are merged.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_PEOPLE_LOCK, str(library_id)])


def lock_faces(*conditions: Q, **filters: object) -> list[Face]:
    """Lock faces in the order of their keys; gives each with `is_shown`, which says that it is no mere candidate."""
    faces = Face.objects.select_for_update(no_key=True).filter(*conditions, **filters).order_by("pk")
    shown = ExpressionWrapper(is_kept(), output_field=BooleanField())
    return list(faces.annotate(is_shown=shown).only("pk", "photo_id", "person_id", "person_decided"))


def lock_people(*people: Person | None) -> list[Person]:
    """Lock people in the order of their keys, after their faces, and read them anew; gives them as they were given.

    Raises NotFoundError if one is gone or was merged into another, BeingForgottenError.
    """
    wanted = {person.pk for person in people if person is not None}
    locked = {one.pk: one for one in Person.objects.select_for_update(no_key=True).filter(pk__in=wanted).order_by("pk")}
    for person in people:
        if person is not None and (person.pk not in locked or locked[person.pk].merged_into_id):
            raise NotFoundError("The person is gone: the faces were given to others.")
    refuse_if_forgotten(*wanted)
    return [locked[person.pk] for person in people if person is not None]


def refuse_if_forgotten(*person_ids: UUID | None) -> None:
    """Raise BeingForgottenError if one of these people is being forgotten: none of the faces escapes that."""
    wanted = [one for one in person_ids if one]
    if ErasureReceipt.objects.open().filter(kind=ErasureKind.PERSON, subject_id__in=wanted).exists():
        raise BeingForgottenError("This person is being forgotten: name and faces go within moments.")


def verdicts_of(face_ids: Iterable[UUID]) -> dict[UUID, FaceVerdict]:
    """Give what is in force for these faces; those of whom nobody said anything are left out."""
    return _verdicts(FaceLink.objects.filter(face_id__in=list(face_ids)))


def verdicts_in(library_id: UUID) -> dict[UUID, FaceVerdict]:
    """Give what is in force for the faces of a library."""
    return _verdicts(FaceLink.objects.filter(decision__library_id=library_id))


def record(
    *,
    library_id: UUID,
    kind: DecisionKind,
    person: Person | None,
    by: User | None,
    said: Sequence[Said] = (),
    faces: Mapping[UUID, UUID | None],
    **details: object,
) -> PersonDecision:
    """Keep a decision with what it says of each face; what was said before and cannot be true beside it ends.

    `faces` are the persons just before, of those faces that the decision may move. The groups of all these faces are to
    be looked at again.
    """
    made = PersonDecision.objects.create(library_id=library_id, kind=kind, person=person, by=by, details=details)
    _end(made, said)
    FaceLink.objects.bulk_create(
        (
            FaceLink(
                decision=made,
                face_id=one.face_id,
                person_id=one.person_id,
                kind=one.kind,
                before=faces.get(one.face_id),
            )
            for one in said
        ),
        batch_size=ROWS_AT_ONCE,
    )
    refresh(one.face_id for one in said)
    tell_changed(library_id=library_id)
    return made


def refresh(face_ids: Iterable[UUID]) -> None:
    """Bring what follows from links up to them: which faces are decided on, and which groups have to be looked at."""
    ids = sorted(set(face_ids))
    said = FaceLink.objects.filter(in_force=True, kind=LinkKind.IS).values("face_id")
    changed = Face.objects.filter(pk__in=ids)
    changed.filter(person_decided=False, pk__in=said.filter(face_id__in=ids)).update(person_decided=True)
    changed.filter(person_decided=True).exclude(pk__in=said.filter(face_id__in=ids)).update(person_decided=False)
    # one that was decided on is kept, whatever the detector thought of it
    shown.refresh(photo_ids=set(changed.values_list("photo", flat=True)))
    groups = FaceEmbedding.objects.filter(face_id__in=ids, component__isnull=False)
    GroupLoss.objects.bulk_create(
        GroupLoss(library_id=library_id, model=model, component=component)
        for library_id, model, component in groups.order_by().values_list("library_id", "model", "component").distinct()
    )


def resolve(person_id: UUID) -> UUID | None:
    """Give whom a person has been merged into by now, or the person; None if there is nobody of that key."""
    while True:
        found = Person.objects.filter(pk=person_id).values_list("merged_into_id", flat=True)[:1]
        if not found:
            return None
        if found[0] is None:
            return person_id
        person_id = found[0]


def _end(decision: PersonDecision, said: Sequence[Said]) -> None:
    """End the links that cannot be true beside what is said now."""
    links = FaceLink.objects.filter(in_force=True)
    pinned = [one for one in said if one.kind in MUST]
    over = links.filter(kind__in=MUST, face_id__in=[one.face_id for one in pinned])
    over.update(in_force=False, ended_by=decision)
    for person_id in {one.person_id for one in pinned if one.person_id}:
        of_person = [one.face_id for one in pinned if one.person_id == person_id]
        over = links.filter(kind=LinkKind.IS_NOT, person_id=person_id, face_id__in=of_person)
        over.update(in_force=False, ended_by=decision)
    for one in said:
        if one.kind == LinkKind.IS_NOT:
            over = links.filter(kind__in=MUST, face_id=one.face_id, person_id=one.person_id)
            over.update(in_force=False, ended_by=decision)


def _verdicts(links: object) -> dict[UUID, FaceVerdict]:
    found: dict[UUID, FaceVerdict] = {}
    barred: dict[UUID, set[UUID]] = {}
    for face_id, kind, person_id in links.filter(in_force=True).values_list("face_id", "kind", "person_id"):
        if kind == LinkKind.IS_NOT:
            barred.setdefault(face_id, set()).add(person_id)
        else:
            found[face_id] = FaceVerdict(is_pinned=True, person_id=person_id, is_held=kind == LinkKind.HELD)
    for face_id, people in barred.items():
        before = found.get(face_id, FREE)
        found[face_id] = FaceVerdict(before.is_pinned, before.person_id, before.is_held, frozenset(people))
    return found


def keys(people: Collection[Person]) -> list[str]:
    """Give the keys of people as texts, as details keep them."""
    return [str(person.pk) for person in people]
