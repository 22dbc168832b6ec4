"""What somebody says of people. Each act is kept as one decision, which every grouping obeys and which can be undone.

What is decided of a person is decided of the faces that are the person's at that moment: they are held together from
then on, whatever a grouping thinks. Each function gives the decision, or None where nothing had to be decided.
"""

from collections.abc import Collection, Sequence
from typing import TypedDict
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from accounts.models import User
from accounts.problems import ConflictError, InvalidValueError, NotFoundError
from photos.models import DecisionKind, Face, FaceLink, LinkKind, Person, PersonDecision
from photos.services.decisions import (
    FREE,
    ContradictsDecisionError,
    FaceVerdict,
    Said,
    keys,
    lock_faces,
    lock_people,
    lock_people_of,
    record,
    refresh,
    resolve,
    verdicts_of,
)
from photos.services.face_persons import delete_empty_people, put_faces, refresh_photos_of

NAMED_AT_MOST = 20


class NotTheirFaceError(ConflictError):
    """A face that was to be somebody's is another's by now."""

    code = "not_their_face"


class OfNobodyError(ConflictError):
    """The face is nobody's."""

    code = "of_nobody"


class PersonChanges(TypedDict, total=False):
    """What may be changed of a person; what is missing stays. `cover` is the key of a face, None the best one."""

    name: str
    hidden: bool
    cover: UUID | None


@transaction.atomic
def rename_person(*, person: Person, name: str, by: User | None = None) -> PersonDecision | None:
    """Name a person, or take the name away with an empty one. A name holds the person's faces.

    Raises NotFoundError if a regrouping has removed the person meanwhile, BeingForgottenError.
    """
    person.name = name.strip()
    person.full_clean(exclude=["chosen_cover"])
    lock_people_of(person.library_id)
    faces = lock_faces(person_id=person.pk) if person.name else []
    [locked] = lock_people(person)
    if locked.name == person.name:
        return None
    Person.objects.filter(pk=person.pk).update(name=person.name)
    refresh_photos_of(person_ids=[person.pk])
    return _record(DecisionKind.NAME, locked, by, faces, before=locked.name, after=person.name)


@transaction.atomic
def hide_person(*, person: Person, is_hidden: bool, by: User | None = None) -> PersonDecision | None:
    """Leave a person out of lists, or show them again. Raises NotFoundError, BeingForgottenError."""
    lock_people_of(person.library_id)
    faces = lock_faces(person_id=person.pk)
    [locked] = lock_people(person)
    person.is_hidden = is_hidden
    if locked.is_hidden == is_hidden:
        return None
    Person.objects.filter(pk=person.pk).update(is_hidden=is_hidden)
    return _record(DecisionKind.HIDE if is_hidden else DecisionKind.SHOW, locked, by, faces)


@transaction.atomic
def choose_cover(*, person: Person, face_id: UUID | None, by: User | None = None) -> PersonDecision | None:
    """Let one of a person's faces stand for them; None: the best one. One that goes is followed by the best.

    Raises NotTheirFaceError, NotFoundError, BeingForgottenError.
    """
    lock_people_of(person.library_id)
    faces = lock_faces(person_id=person.pk)
    [locked] = lock_people(person)
    if face_id is not None:
        _chosen(faces, [face_id])
    person.chosen_cover_id = face_id
    if locked.chosen_cover_id == face_id:
        return None
    Person.objects.filter(pk=person.pk).update(chosen_cover=face_id)
    before = locked.chosen_cover_id and str(locked.chosen_cover_id)
    return _record(DecisionKind.COVER, locked, by, faces, before=before, after=face_id and str(face_id))


@transaction.atomic
def change_person(*, person: Person, changes: PersonChanges, by: User | None = None) -> list[PersonDecision]:
    """Change some of what is said of a person, or nothing; gives the decisions. Raises what each of them raises."""
    made = [
        rename_person(person=person, name=changes["name"], by=by) if "name" in changes else None,
        hide_person(person=person, is_hidden=changes["hidden"], by=by) if "hidden" in changes else None,
        choose_cover(person=person, face_id=changes["cover"], by=by) if "cover" in changes else None,
    ]
    return [decision for decision in made if decision is not None]


@transaction.atomic
def merge_people(*, into: Person, people: Sequence[Person], by: User | None = None) -> PersonDecision:
    """Make several people one: `into` stays, with their faces, and with the first name there is if it has none.

    All faces that they have at this moment belong together from now on; what was said of one of them, or that a face is
    not one of them, is said of `into`. Raises ConflictError for people of another library, InvalidValueError for
    nobody, or for `into` itself; ContradictsDecisionError where a face that is held by one of them was said not to be
    another; NotFoundError, BeingForgottenError.
    """
    if not people or into.pk in {one.pk for one in people}:
        raise InvalidValueError("Name others than the person that stays.", field="people")
    if {one.library_id for one in people} != {into.library_id}:
        raise ConflictError("The people belong to different libraries.")
    lock_people_of(into.library_id)
    faces = lock_faces(person_id__in=[into.pk, *(one.pk for one in people)])
    target, *merged = lock_people(into, *people)
    merged = list({one.pk: one for one in merged}.values())
    ids = {target.pk, *(one.pk for one in merged)}
    verdicts = verdicts_of(face.pk for face in faces)
    freed = {face.pk for face in faces if verdicts.get(face.pk, FREE).barred & ids}
    _refuse_contradictions([face for face in faces if face.pk in freed], verdicts, ids)
    namesake = None if target.name else next((one for one in merged if one.name), None)
    decision = record(
        library_id=target.library_id,
        kind=DecisionKind.MERGE,
        person=target,
        by=by,
        said=[
            *_said_of_merged(target, [face for face in faces if face.pk not in freed], verdicts),
            *_denied_of_merged(target, merged),
        ],
        faces={face.pk: face.person_id for face in faces},
        people=keys(merged),
        # no names: of two who are not one any more each may be forgotten
        named_after=namesake and str(namesake.pk),
    )
    over = FaceLink.objects.filter(in_force=True, kind=LinkKind.IS_NOT, person__in=merged)
    over.update(in_force=False, ended_by=decision)
    # those who were said not to be one of them were here by guess alone
    put_faces(persons={face.pk: None if face.pk in freed else target.pk for face in faces})
    refresh(freed)
    Person.objects.filter(pk__in=[one.pk for one in merged]).update(merged_into=target)
    if namesake is not None:
        Person.objects.filter(pk=target.pk).update(name=namesake.name)
        refresh_photos_of(person_ids=[target.pk])
    return decision


@transaction.atomic
def split_person(
    *, person: Person, face_ids: Collection[UUID], name: str = "", by: User | None = None
) -> PersonDecision:
    """Make some of a person's faces a new person: gives the decision, whose `made` is that person.

    The faces are said to be the new person, the others are held by the old one: the two never come together again,
    unless somebody merges them. Raises NotTheirFaceError, InvalidValueError for none of the faces or all of them,
    NotFoundError, BeingForgottenError.
    """
    new = Person(library_id=person.library_id, name=name.strip())
    new.full_clean(exclude=["chosen_cover"])
    lock_people_of(person.library_id)
    faces = lock_faces(person_id=person.pk)
    [locked] = lock_people(person)
    chosen = _some(faces, face_ids)
    if len(chosen) == len(faces):
        raise InvalidValueError("Leave some of the person's faces: all of them are the person.", field="faces")
    new.save(force_insert=True)
    said = [Said(face.pk, LinkKind.IS, new.pk) for face in chosen]
    decision = _record(DecisionKind.SPLIT, locked, by, faces, said=said, without=chosen, made=str(new.pk))
    put_faces(persons=dict.fromkeys([face.pk for face in chosen], new.pk))
    return decision


@transaction.atomic
def confirm_faces(
    *, person: Person, face_ids: Collection[UUID] | None = None, by: User | None = None
) -> PersonDecision | None:
    """Say that faces of a person are that person: those that are named, or all that are shown.

    Raises NotTheirFaceError, NotFoundError, BeingForgottenError.
    """
    lock_people_of(person.library_id)
    faces = lock_faces(person_id=person.pk)
    [locked] = lock_people(person)
    if face_ids is None:
        shown = Face.objects.kept().filter(person=person, photo__trashed_at__isnull=True)
        face_ids = set(shown.values_list("pk", flat=True))
    said = [Said(face.pk, LinkKind.IS, locked.pk) for face in _chosen(faces, face_ids) if not face.person_decided]
    if not said:
        return None
    return _record(DecisionKind.CONFIRM, locked, by, faces, said=said)


@transaction.atomic
def reject_faces(*, person: Person, face_ids: Collection[UUID], by: User | None = None) -> PersonDecision | None:
    """Say that some of a person's faces, or all of them, are not that person; the others stay theirs.

    As `reject_face` does, in one decision. Raises NotTheirFaceError, InvalidValueError for none of the faces,
    NotFoundError, BeingForgottenError.
    """
    lock_people_of(person.library_id)
    faces = lock_faces(person_id=person.pk)
    [locked] = lock_people(person)
    chosen = _some(faces, face_ids)
    said = [Said(face.pk, LinkKind.IS_NOT, locked.pk) for face in chosen]
    decision = _record(DecisionKind.REJECT, locked, by, faces, said=said)
    put_faces(persons=dict.fromkeys([face.pk for face in chosen]))
    if delete_empty_people(library_id=person.library_id, among=[locked.pk]):
        # nobody is left to say it of
        decision.delete()
        return None
    return decision


@transaction.atomic
def confirm_face(*, face: Face, by: User | None = None) -> PersonDecision | None:
    """Say that a face is the person whose it is. Raises OfNobodyError, and what `confirm_faces` raises."""
    lock_people_of(face.photo.library_id)
    current = Face.objects.filter(pk=face.pk).select_related("person").first()
    if current is None:
        raise NotFoundError("The face is gone: it was not found again.")
    if current.person is None:
        raise OfNobodyError("The face is nobody's: say whose it is.")
    return confirm_faces(person=current.person, face_ids=[face.pk], by=by)


@transaction.atomic
def decide_face(
    *, face: Face, person: Person | None, new_name: str | None = None, by: User | None = None
) -> PersonDecision | None:
    """Put a face to a person, to a new one of that name, or to nobody, for good: no regrouping moves it again.

    The others of somebody with a name stay with them; those of somebody of whom nobody has said anything may follow it.
    Raises ConflictError for a person of another library,
    NotFoundError if the face or the person has been removed meanwhile, BeingForgottenError where either person is to be
    forgotten: none of the faces escapes that.
    """
    library_id = face.photo.library_id
    if person is not None and person.library_id != library_id:
        raise ConflictError("The person belongs to another library.")
    lock_people_of(library_id)
    faces, locked, people = _lock_face_with_people(face, person)
    target = people[-1] if person is not None else None
    if new_name is not None:
        target = Person(library_id=library_id, name=new_name.strip())
        target.full_clean(exclude=["chosen_cover"])
        target.save(force_insert=True)
    verdict = verdicts_of([face.pk]).get(face.pk, FREE)
    now = None if target is None else target.pk
    if verdict.is_pinned and not verdict.is_held and verdict.person_id == now:
        return None
    details = {"made": str(now)} if new_name is not None else {}
    holders = {one.pk for one in people if one.name} | {now}
    decision = _record(
        DecisionKind.MOVE,
        target,
        by,
        [one for one in faces if one.person_id in holders or one.pk == face.pk],
        said=[Said(face.pk, LinkKind.IS, now)],
        without=[locked],
        library_id=library_id,
        **details,
    )
    put_faces(persons={face.pk: now})
    delete_empty_people(library_id=library_id, among=[locked.person_id])
    face.refresh_from_db(fields=["person", "person_decided"])
    return decision


@transaction.atomic
def reject_face(*, face: Face, person: Person | None = None, by: User | None = None) -> PersonDecision | None:
    """Say that a face is not somebody: not the person whose it is now, unless another is given.

    If it is theirs, it is nobody's from now on, until a grouping finds somebody else; the others stay theirs. Somebody
    nameless who has no other face is gone, and the decision with them. Raises OfNobodyError, ConflictError for a person
    of another library, NotFoundError, BeingForgottenError.
    """
    library_id = face.photo.library_id
    if person is not None and person.library_id != library_id:
        raise ConflictError("The person belongs to another library.")
    lock_people_of(library_id)
    current = Face.objects.filter(pk=face.pk).select_related("person").first()
    person = person or (current and current.person)
    if current is not None and person is None:
        raise OfNobodyError("The face is nobody's: say who it is not.")
    faces, locked, people = _lock_face_with_people(face, person)
    target = people[-1]
    if target.pk in verdicts_of([face.pk]).get(face.pk, FREE).barred:
        return None
    decision = _record(
        DecisionKind.REJECT,
        target,
        by,
        [one for one in faces if one.person_id == target.pk or one.pk == face.pk],
        said=[Said(face.pk, LinkKind.IS_NOT, target.pk)],
        without=[locked],
    )
    if locked.person_id == target.pk:
        put_faces(persons={face.pk: None})
        if delete_empty_people(library_id=library_id, among=[target.pk]):
            decision.delete()
            decision = None
    face.refresh_from_db(fields=["person", "person_decided"])
    return decision


def who_is(*, person_id: UUID) -> UUID | None:
    """Give the key of whom a person was merged into, or of the person; None if there is nobody of that key."""
    return resolve(person_id)


def _record(
    kind: DecisionKind,
    person: Person | None,
    by: User | None,
    faces: Sequence[Face],
    *,
    said: Sequence[Said] = (),
    without: Sequence[Face] = (),
    library_id: UUID | None = None,
    **details: object,
) -> PersonDecision:
    """Keep a decision, and hold what is theirs among `faces`, `without` those that it takes away or says more of."""
    left = {one.face_id for one in said} | {face.pk for face in without}
    others = [face for face in faces if face.pk not in left]
    verdicts = verdicts_of(face.pk for face in others)
    held = [
        Said(face.pk, LinkKind.HELD, face.person_id)
        for face in others
        if face.person_id and face.is_shown and not verdicts.get(face.pk, FREE).is_pinned
    ]
    return record(
        library_id=library_id or person.library_id,
        kind=kind,
        person=person,
        by=by,
        said=[*said, *held],
        faces={face.pk: face.person_id for face in faces},
        **details,
    )


def _chosen(faces: Sequence[Face], face_ids: Collection[UUID]) -> list[Face]:
    """Give those of a person's faces that are named; raises NotTheirFaceError if one is another's."""
    wanted = set(face_ids)
    chosen = [face for face in faces if face.pk in wanted]
    if missing := wanted - {face.pk for face in chosen}:
        named = sorted(map(str, missing))[:NAMED_AT_MOST]
        raise NotTheirFaceError("Not all of these faces are this person's.", faces=named)
    return chosen


def _some(faces: Sequence[Face], face_ids: Collection[UUID]) -> list[Face]:
    """Give the faces that are named, one or more; raises NotTheirFaceError, InvalidValueError."""
    chosen = _chosen(faces, face_ids)
    if not chosen:
        raise InvalidValueError("Choose faces of the person's.", field="faces")
    return chosen


def _lock_face_with_people(face: Face, person: Person | None) -> tuple[list[Face], Face, list[Person]]:
    """Lock a face, all faces of the person whose it is and of another, then these people; the other one comes last."""
    held_by = Face.objects.filter(pk=face.pk).values("person")
    ids = [] if person is None else [person.pk]
    faces = lock_faces(Q(pk=face.pk) | Q(person__in=held_by) | Q(person__in=ids))
    locked = next((one for one in faces if one.pk == face.pk), None)
    if locked is None:
        raise NotFoundError("The face is gone: it was not found again.")
    current = None if locked.person_id is None else Person(pk=locked.person_id)
    return faces, locked, lock_people(current, person)


def _said_of_merged(target: Person, faces: Sequence[Face], verdicts: dict[UUID, FaceVerdict]) -> list[Said]:
    """Say of what was somebody's that it is the one who stays; what was said of a face one by one, is again."""
    said = []
    for face in faces:
        verdict = verdicts.get(face.pk, FREE)
        if not verdict.is_pinned or verdict.person_id != target.pk:
            is_said = verdict.is_pinned and not verdict.is_held
            said.append(Said(face.pk, LinkKind.IS if is_said else LinkKind.HELD, target.pk))
    return said


def _denied_of_merged(target: Person, merged: Sequence[Person]) -> list[Said]:
    """Say of whoever is not one of the merged, that it is not the one who stays either."""
    denied = FaceLink.objects.filter(in_force=True, kind=LinkKind.IS_NOT)
    known = set(denied.filter(person=target).values_list("face_id", flat=True))
    others = set(denied.filter(person__in=merged).values_list("face_id", flat=True)) - known
    return [Said(face_id, LinkKind.IS_NOT, target.pk) for face_id in sorted(others)]


def _refuse_contradictions(faces: Sequence[Face], verdicts: dict[UUID, FaceVerdict], ids: set[UUID]) -> None:
    """Refuse to merge where a face that is held by one of them is not another of them, for somebody said so."""
    held = [face.pk for face in faces if verdicts[face.pk].is_pinned]
    if not held:
        return
    links = FaceLink.objects.filter(in_force=True, kind=LinkKind.IS_NOT, face_id__in=held, person_id__in=ids)
    found = links.order_by("face_id").values_list("decision_id", "face_id")[:NAMED_AT_MOST]
    raise ContradictsDecisionError(
        "A face of one of them was said not to be another of them: undo that decision, or move the face, first.",
        decisions=sorted({str(decision_id) for decision_id, _ in found}),
        faces=sorted({str(face_id) for _, face_id in found}),
    )
