"""People: what a grouping found, and what a person says of them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from uuid_utils.compat import uuid7

from accounts.models import ErasureKind, ErasureReceipt
from accounts.problems import ConflictError, NotFoundError
from photos.models import Event, EventKind, Face, FaceEmbedding, GroupLoss, Person, Photo, is_kept
from photos.services import events, shown

ROWS_PER_UPDATE = 500


class BeingForgottenError(ConflictError):
    """Somebody has asked for the erasure of a person, which has not ended."""

    code = "being_forgotten"


@dataclass(frozen=True, slots=True)
class LetGo:
    """A face that is in a group and is not kept any more, since a floor was moved: it leaves the group."""

    embedding_id: UUID
    face_id: UUID
    component: int


@dataclass(frozen=True, slots=True)
class LibraryFaces:
    """The embeddings of a library's faces by one model, row by row, as a grouping reads them.

    `vectors` is float32 (n, dimensions); `components` int64 (n,), -1 where no grouping has read the row.
    """

    embedding_ids: list[UUID]
    face_ids: list[UUID]
    vectors: np.ndarray
    components: np.ndarray
    persons: list[UUID | None]
    decided: list[bool]
    losses: list[GroupLoss]
    let_go: list[LetGo]


def has_ungrouped(*, library_id: UUID, model: str) -> bool:
    """Tell whether an embedding exists that no grouping has read, or one that was read is gone."""
    unread = _embeddings(library_id, model).filter(is_kept("face__"), component__isnull=True)
    return unread.exists() or GroupLoss.objects.filter(library_id=library_id, model=model).exists()


def read_library(*, library_id: UUID, model: str) -> LibraryFaces:
    """Read the kept faces of a library for a grouping, and those that are to leave their groups."""
    losses = list(GroupLoss.objects.filter(library_id=library_id, model=model))
    rows = list(
        _embeddings(library_id, model)
        .filter(is_kept("face__"))
        .order_by("pk")
        .values_list("pk", "face_id", "vector", "component", "face__person_id", "face__person_decided")
    )
    leaving = _embeddings(library_id, model).filter(~is_kept("face__"), component__isnull=False)
    vectors = np.array([row[2] for row in rows], dtype=np.float32)
    return LibraryFaces(
        embedding_ids=[row[0] for row in rows],
        face_ids=[row[1] for row in rows],
        vectors=vectors if rows else vectors.reshape(0, 0),
        components=np.array([-1 if row[3] is None else row[3] for row in rows], dtype=np.int64),
        persons=[row[4] for row in rows],
        decided=[row[5] for row in rows],
        losses=losses,
        let_go=[LetGo(*row) for row in leaving.values_list("pk", "face_id", "component")],
    )


def anchored_people(*, library_id: UUID) -> set[UUID]:
    """Give the people who survive any regrouping: those with a name, or with a face that somebody decided on."""
    decided = Exists(Face.objects.filter(person=OuterRef("pk"), person_decided=True))
    return set(Person.objects.filter(~Q(name="") | decided, library_id=library_id).values_list("pk", flat=True))


def write_grouping(
    *,
    library_id: UUID,
    model: str,
    components: Mapping[UUID, int],
    persons: Mapping[UUID, UUID | None],
    new_people: Iterable[UUID],
    losses: Iterable[GroupLoss],
    let_go: Sequence[LetGo] = (),
) -> int:
    """Write what a grouping found, in its own fenced transaction; gives how many faces changed their person.

    `components` are by embedding id, `persons` by face id. A face that somebody decided on since is left alone, one
    that was removed since is noted as lost to the group that it held together; a nameless person without faces goes.
    Whoever is `let_go` loses group and person; one that a person has decided on since keeps the person, and is read
    anew.
    """
    # faces before their embeddings, as everybody locks them
    leaving = {one.face_id for one in let_go}
    faces = list(Face.objects.select_for_update(no_key=True).filter(pk__in=leaving | persons.keys()).order_by("pk"))
    assigned = [face for face in faces if face.pk in persons]
    moved = [face for face in assigned if not face.person_decided and face.person_id != persons[face.pk]]
    Face.objects.filter(~is_kept(), pk__in=leaving).update(person=None)
    FaceEmbedding.objects.filter(pk__in=[one.embedding_id for one in let_go]).update(component=None)
    Person.objects.bulk_create(Person(pk=pk, library_id=library_id) for pk in new_people)
    before = {face.pk: face.person_id for face in moved}
    for face in moved:
        face.person_id = persons[face.pk]
    Face.objects.bulk_update(moved, ["person"], batch_size=ROWS_PER_UPDATE)
    changed_rows = [FaceEmbedding(pk=pk, component=component) for pk, component in components.items()]
    FaceEmbedding.objects.bulk_update(changed_rows, ["component"], batch_size=ROWS_PER_UPDATE)
    there = set(FaceEmbedding.objects.filter(pk__in=components).values_list("pk", flat=True))
    gone = {component for pk, component in components.items() if pk not in there}
    GroupLoss.objects.filter(pk__in=[loss.pk for loss in losses]).delete()
    GroupLoss.objects.bulk_create(GroupLoss(library_id=library_id, model=model, component=one) for one in gone)
    emptied = delete_empty_people(library_id=library_id)
    # of those that were given to others: names alone are shown, and most people have none
    named = set(Person.objects.filter(library_id=library_id).exclude(name="").values_list("pk", flat=True))
    renamed = {face.photo_id for face in moved if {before[face.pk], persons[face.pk]} & named}
    shown.refresh(photo_ids=renamed | {face.photo_id for face in faces if face.pk in leaving})
    if moved or emptied or leaving:
        tell_changed(library_id=library_id, faces_moved=len(moved))
    return len(moved)


def recount_faces(*, library_id: UUID) -> int:
    """Show of a library's photos how many faces are kept, after a floor was moved; gives how many photos changed."""
    kept = Face.objects.kept().filter(photo=OuterRef("pk")).order_by().values("photo").annotate(count=Count("pk"))
    photos = Photo.objects.filter(library_id=library_id).annotate(kept=Coalesce(Subquery(kept.values("count")), 0))
    return shown.refresh(photo_ids=list(photos.exclude(face_count=F("kept")).values_list("pk", flat=True)))


def tell_changed(*, library_id: UUID, **counts: int) -> None:
    """Tell that people of a library, or whose face is whose, have changed: once, however many, in the transaction."""
    events.record(events=[Event(kind=EventKind.PEOPLE_CHANGED, library_id=library_id, payload=counts)])


def delete_empty_people(*, library_id: UUID, among: Collection[UUID | None] | None = None) -> int:
    """Delete the nameless people of a library, or those `among` them, who have no face left; gives how many."""
    empty = Person.objects.filter(~Exists(Face.objects.filter(person=OuterRef("pk"))), library_id=library_id, name="")
    if among is not None:
        empty = empty.filter(pk__in=among)
    # locked, then asked again: one who was named or given a face meanwhile stays
    locked = [person.pk for person in empty.select_for_update(of=("self",))]
    return empty.filter(pk__in=locked).delete()[0]


def new_person_id() -> UUID:
    """Give the key of a person who is about to be made."""
    return uuid7()


@transaction.atomic
def rename_person(*, person: Person, name: str) -> Person:
    """Name a person, or take the name away with an empty one.

    Raises NotFoundError if a regrouping has removed the person meanwhile, BeingForgottenError.
    """
    person.name = name.strip()
    person.full_clean()
    # held before it is asked: who asks for the erasure writes this row, too
    if not Person.objects.select_for_update(no_key=True).filter(pk=person.pk):
        raise NotFoundError("The person is gone: the faces were given to others.")
    _refuse_if_forgotten(person.pk)
    Person.objects.filter(pk=person.pk).update(name=person.name)
    refresh_photos_of(person_id=person.pk)
    return person


def refresh_photos_of(*, person_id: UUID) -> None:
    """Bring what is shown of a person's photos up to the name."""
    shown.refresh(photo_ids=set(Face.objects.filter(person=person_id).values_list("photo", flat=True)))


@transaction.atomic
def decide_face(*, face: Face, person: Person | None) -> Face:
    """Put a face to a person, or to nobody, for good: no regrouping moves it again.

    Raises ConflictError for a person of another library, NotFoundError if the face or the person has been removed
    meanwhile, BeingForgottenError where either person is to be forgotten: none of the faces escapes that.
    """
    if person is not None and person.library_id != face.photo.library_id:
        raise ConflictError("The person belongs to another library.")
    # the face before the person, as a grouping locks them
    locked = Face.objects.select_for_update(no_key=True).filter(pk=face.pk).first()
    if locked is None:
        raise NotFoundError("The face is gone: it was not found again.")
    if person is not None and not Person.objects.select_for_update(no_key=True).filter(pk=person.pk):
        raise NotFoundError("The person is gone: the faces were given to others.")
    _refuse_if_forgotten(locked.person_id, None if person is None else person.pk)
    Face.objects.filter(pk=face.pk).update(person=person, person_decided=True)
    delete_empty_people(library_id=face.photo.library_id, among=[locked.person_id])
    shown.refresh(photo_ids=[face.photo_id])
    face.refresh_from_db(fields=["person", "person_decided"])
    return face


def _refuse_if_forgotten(*person_ids: UUID | None) -> None:
    asked = ErasureReceipt.objects.open().filter(
        kind=ErasureKind.PERSON, subject_id__in=[one for one in person_ids if one]
    )
    if asked.exists():
        raise BeingForgottenError("This person is being forgotten: name and faces go within moments.")


def _embeddings(library_id: UUID, model: str) -> QuerySet[FaceEmbedding]:
    return FaceEmbedding.objects.filter(library_id=library_id, model=model)
