"""Groups of faces: what a grouping reads of a library, and what it writes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from django.db.models import Q, QuerySet
from uuid_utils.compat import uuid7

from photos.models import Face, FaceEmbedding, GroupLoss, Person, is_kept
from photos.services import shown
from photos.services.decisions import FREE, FaceVerdict, lock_faces, lock_people_of, verdicts_in, verdicts_of
from photos.services.face_persons import delete_empty_people, put_faces, tell_changed

ROWS_PER_UPDATE = 500


@dataclass(frozen=True, slots=True)
class LetGo:
    """A face that is in a group and is not kept any more, since a floor was moved: it leaves the group."""

    embedding_id: UUID
    face_id: UUID
    component: int


@dataclass(frozen=True, slots=True)
class LibraryFaces:
    """The embeddings of a library's faces by one model, row by row, as a grouping reads them.

    `vectors` is float32 (n, dimensions); `components` int64 (n,), -1 where no grouping has read the row. `verdicts` is
    what was decided of faces of the library, by their keys, also of those that are not among the rows.
    """

    embedding_ids: list[UUID]
    face_ids: list[UUID]
    vectors: np.ndarray
    components: np.ndarray
    persons: list[UUID | None]
    verdicts: dict[UUID, FaceVerdict]
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
        .values_list("pk", "face_id", "vector", "component", "face__person_id")
    )
    leaving = _embeddings(library_id, model).filter(~is_kept("face__"), component__isnull=False)
    vectors = np.array([row[2] for row in rows], dtype=np.float32)
    return LibraryFaces(
        embedding_ids=[row[0] for row in rows],
        face_ids=[row[1] for row in rows],
        vectors=vectors if rows else vectors.reshape(0, 0),
        components=np.array([-1 if row[3] is None else row[3] for row in rows], dtype=np.int64),
        persons=[row[4] for row in rows],
        verdicts=verdicts_in(library_id),
        losses=losses,
        let_go=[LetGo(*row) for row in leaving.values_list("pk", "face_id", "component")],
    )


def cherished_people(*, library_id: UUID) -> set[UUID]:
    """Give the people of whom somebody has said something that goes with them: a name, or that they are hidden."""
    people = Person.objects.filter(~Q(name="") | Q(is_hidden=True), library_id=library_id)
    return set(people.values_list("pk", flat=True))


def write_grouping(
    *,
    library_id: UUID,
    model: str,
    components: Mapping[UUID, int],
    persons: Mapping[UUID, UUID | None],
    new_people: Iterable[UUID],
    losses: Iterable[GroupLoss],
    let_go: Sequence[LetGo] = (),
    verdicts: Mapping[UUID, FaceVerdict],
) -> int:
    """Write what a grouping found, in its own fenced transaction; gives how many faces changed their person.

    `components` are by embedding id, `persons` by face id; `verdicts` is what the grouping knew of decisions, by face
    id. A face on which somebody has decided since is left alone, and its group is to be looked at again; one that was
    removed since is noted as lost to the group that it held together; a nameless person without faces goes. Whoever is
    `let_go` loses group and person; one that is pinned to a person, or is kept again, keeps the person.
    """
    lock_people_of(library_id)
    # faces before their embeddings, as everybody locks them
    leaving = {one.face_id for one in let_go}
    locked = lock_faces(pk__in=leaving | persons.keys())
    now = verdicts_of(face.pk for face in locked)
    Person.objects.bulk_create(Person(pk=pk, library_id=library_id) for pk in new_people)
    there = _people_there(set(persons.values()))
    certain = {
        face.pk: persons[face.pk]
        for face in locked
        if face.pk in persons
        and now.get(face.pk, FREE) == verdicts.get(face.pk, FREE)
        and (persons[face.pk] is None or persons[face.pk] in there)
    }
    moved = put_faces(persons=certain)
    candidates = Face.objects.filter(~is_kept(), pk__in=leaving).values_list("pk", flat=True)
    put_faces(persons={pk: None for pk in candidates if not now.get(pk, FREE).is_pinned})
    FaceEmbedding.objects.filter(pk__in=[one.embedding_id for one in let_go]).update(component=None)
    changed_rows = [FaceEmbedding(pk=pk, component=component) for pk, component in components.items()]
    FaceEmbedding.objects.bulk_update(changed_rows, ["component"], batch_size=ROWS_PER_UPDATE)
    written = dict(FaceEmbedding.objects.filter(pk__in=components).values_list("pk", "face_id"))
    again = {
        component
        for pk, component in components.items()
        if pk not in written or (written[pk] in persons and written[pk] not in certain)
    }
    GroupLoss.objects.filter(pk__in=[loss.pk for loss in losses]).delete()
    GroupLoss.objects.bulk_create(GroupLoss(library_id=library_id, model=model, component=one) for one in again)
    # one that is no face any more, or is one again, is not counted where it was
    shown.refresh(photo_ids=set(Face.objects.filter(pk__in=leaving).values_list("photo", flat=True)))
    emptied = delete_empty_people(library_id=library_id)
    if moved or emptied or leaving:
        tell_changed(library_id=library_id, faces_moved=moved)
    return moved


def _people_there(person_ids: set[UUID | None]) -> set[UUID]:
    """Lock those of these people who are there, and give them: whom nobody has merged or deleted since."""
    people = Person.objects.filter(pk__in=[one for one in person_ids if one], merged_into__isnull=True)
    return set(people.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))


def new_person_id() -> UUID:
    """Give the key of a person who is about to be made."""
    return uuid7()


def _embeddings(library_id: UUID, model: str) -> QuerySet[FaceEmbedding]:
    return FaceEmbedding.objects.filter(library_id=library_id, model=model)
