"""Decisions that do not hold: there should be none, whatever groupings, models and detections came since."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q

from photos.models import Face, FaceLink, LinkKind
from photos.services.decisions import FREE, MUST, lock_faces, lock_people_of, refresh, verdicts_of
from photos.services.face_persons import put_faces

_ELSEWHERE = (
    Q(person__isnull=True, face__person__isnull=False)
    | Q(person__isnull=False, face__person__isnull=True)
    | (Q(person__isnull=False, face__person__isnull=False) & ~Q(face__person=F("person")))
)
_WRONGS = (
    (Q(kind__in=MUST) & _ELSEWHERE, "pinned to a person, and another's"),
    (Q(kind=LinkKind.IS_NOT, face__person=F("person")), "said not to be a person, and theirs"),
    (Q(decision__undone_at__isnull=False), "held by a decision that was undone"),
)


@dataclass(frozen=True, slots=True)
class Broken:
    """A face for which a decision does not hold."""

    face_id: UUID
    photo_id: UUID
    library_id: UUID
    detail: str


def broken(*, library_id: UUID | None = None, face_ids: Collection[UUID] | None = None) -> Iterator[Broken]:
    """Give the faces for which a decision does not hold: of all, of a library, or of those that are named."""
    links = FaceLink.objects.filter(in_force=True)
    said = FaceLink.objects.filter(face=OuterRef("pk"), in_force=True, kind=LinkKind.IS)
    faces = Face.objects.filter(Q(person_decided=True) & ~Exists(said) | Q(person_decided=False) & Exists(said))
    if library_id is not None:
        links, faces = links.filter(face__photo__library=library_id), faces.filter(photo__library=library_id)
    if face_ids is not None:
        links, faces = links.filter(face__in=face_ids), faces.filter(pk__in=face_ids)
    columns = ("face_id", "face__photo_id", "face__photo__library_id")
    for condition, detail in _WRONGS:
        for row in links.filter(condition).order_by("face_id").values_list(*columns).iterator():
            yield Broken(*row, detail)
    for row in faces.order_by("pk").values_list("pk", "photo_id", "photo__library_id").iterator():
        yield Broken(*row, "said to be decided on, or not to be, and it is the other way round")


@transaction.atomic
def obey(*, library_id: UUID, face_ids: Collection[UUID]) -> int:
    """Put faces where what is decided of them says; gives for how many it did not hold."""
    lock_people_of(library_id)
    faces = lock_faces(pk__in=face_ids)
    wrong = {one.face_id for one in broken(face_ids=[face.pk for face in faces])}
    FaceLink.objects.filter(face__in=wrong, decision__undone_at__isnull=False).update(in_force=False)
    verdicts = verdicts_of(wrong)
    persons = {}
    for face in faces:
        verdict = verdicts.get(face.pk, FREE)
        if face.pk in wrong and (verdict.is_pinned or face.person_id in verdict.barred):
            persons[face.pk] = verdict.person_id
    put_faces(persons=persons)
    refresh(wrong)
    return len(wrong)
