"""Faces and their embeddings, as stages replace them: a face that is found again keeps its id, person and decisions.

Called in the stage's own transaction, which is fenced. Calling twice with equal values leaves equal rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol
from uuid import UUID

import numpy as np

from photos.models import Face, FaceEmbedding, FaceLink, FaceSuppression, GroupLoss, LinkKind
from photos.services import shown

SAME_FACE_OVERLAP = 0.4
# of a vector's length: batches of other sizes and other devices give last bits of their own, faces differ by far more
SAME_VECTOR_DISTANCE = 0.01
# what a loss is made of: vectors are long
_LOSS_FIELDS = ("library_id", "model", "component")


class Box(Protocol):
    """Something that lies on a photo, in fractions of its width and height."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Place:
    """A box and nothing else."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class FoundFace:
    """A face that a detector found, its chip stored already. Units as in `photos.models.Face`."""

    left: float
    top: float
    right: float
    bottom: float
    landmarks: list[list[float]]
    confidence: float
    quality: float
    chip_key: str
    chip_sha256: str
    chip_width: int
    chip_height: int
    chip_box: list[float]
    chip_landmarks: list[list[float]]


def replace_faces(*, photo_id: UUID, version: str, found: Sequence[FoundFace]) -> list[str]:
    """Put the found faces in the place of the photo's old ones; gives the chip keys that no row names any more.

    Old and new are matched one to one by overlap. An old face that was not found again is removed, unless somebody
    decided on this very face: who it is, or who it is not. One that is found where a forgotten person's was is dropped,
    unless it is an old one.
    """
    old = list(Face.objects.select_for_update().filter(photo_id=photo_id).order_by("id"))
    places = _suppressed_places(photo_id)
    # places compete with old faces: of two that overlap both get the one that is nearest
    pairs = match_by_overlap([*old, *places], found)
    pairs = {index: position for index, position in pairs.items() if index < len(old)}
    before = {face.chip_key for face in old}
    said = _said_of_one_by_one([face.pk for index, face in enumerate(old) if index not in pairs])
    gone = [face.pk for index, face in enumerate(old) if index not in pairs and face.pk not in said]
    forget_faces(face_ids=gone)
    for index, position in pairs.items():
        _update(old[index], version=version, found=found[position])
    matched = set(pairs.values())
    dropped = _lying_in(places, found) - matched
    Face.objects.bulk_create(
        Face(photo_id=photo_id, version=version, **asdict(face))
        for position, face in enumerate(found)
        if position not in matched | dropped
    )
    shown.refresh(photo_ids=[photo_id])
    after = set(Face.objects.filter(photo_id=photo_id).values_list("chip_key", flat=True))
    # of what is dropped a chip was stored, if the person was forgotten while it was found
    stored = {found[position].chip_key for position in dropped}
    return sorted((before | stored) - after)


def _said_of_one_by_one(face_ids: Sequence[UUID]) -> set[UUID]:
    """Give those of these faces of which somebody said who they are or are not; not those that are merely held."""
    if not face_ids:
        return set()
    links = FaceLink.objects.filter(in_force=True, face_id__in=face_ids).exclude(kind=LinkKind.HELD)
    decided = Face.objects.filter(pk__in=face_ids, person_decided=True)
    return {*links.values_list("face_id", flat=True), *decided.values_list("pk", flat=True)}


def suppressed(*, photo_id: UUID, boxes: Sequence[Box]) -> set[int]:
    """Give the places in `boxes` where nothing may be stored: a forgotten person's face was there, and no other is."""
    places = _suppressed_places(photo_id)
    if not places:
        return set()
    lying = _lying_in(places, boxes)
    return lying - _lying_in(list(Face.objects.filter(photo_id=photo_id)), boxes)


def match_by_overlap(old: Sequence[Box], found: Sequence[Box]) -> dict[int, int]:
    """Pair old and found faces so that the sum of their overlaps is greatest (Hungarian algorithm, by SciPy).

    The overlap is intersection over union; what is below `SAME_FACE_OVERLAP` is none. Gives {old: found} indices.
    """
    if not old or not found:
        return {}
    # takes most of a second to import, and the web process never comes here
    from scipy.optimize import linear_sum_assignment

    overlap = _overlaps(old, found)
    # before the assignment: two pairs that are none must not outweigh one that is
    overlap[overlap < SAME_FACE_OVERLAP] = 0
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    return {int(row): int(column) for row, column in zip(rows, columns, strict=True) if overlap[row, column] > 0}


def replace_embeddings(*, library_id: UUID, model: str, version: str, vectors: Mapping[UUID, np.ndarray]) -> None:
    """Put these vectors ({face id: float32 (dimensions,)}) in the place of the faces' old ones by the same model.

    A vector that is as it was (within `SAME_VECTOR_DISTANCE`) stays, and stays in its group; a changed one leaves it
    and waits for the next grouping.
    """
    rows = FaceEmbedding.objects.select_for_update().filter(face_id__in=vectors, model=model)
    old = {row.face_id: row for row in rows.order_by("id")}
    same = {row.pk for face_id, row in old.items() if _is_same_vector(row, vectors[face_id])}
    # a changed vector is a new row: a grouping that read the old one cannot say anything of it
    changed = [row for row in old.values() if row.pk not in same]
    _note_losses(changed)
    FaceEmbedding.objects.filter(pk__in=[row.pk for row in changed]).delete()
    FaceEmbedding.objects.filter(pk__in=same).update(version=version)
    FaceEmbedding.objects.bulk_create(
        FaceEmbedding(
            face_id=face_id,
            library_id=library_id,
            model=model,
            version=version,
            dimensions=len(vector),
            vector=vector.astype(np.float16).tolist(),
        )
        for face_id, vector in vectors.items()
        if face_id not in old or old[face_id].pk not in same
    )


def _is_same_vector(row: FaceEmbedding, vector: np.ndarray) -> bool:
    if row.dimensions != len(vector):
        return False
    length = np.linalg.norm(vector)
    return bool(np.linalg.norm(np.asarray(row.vector, dtype=np.float32) - vector) <= SAME_VECTOR_DISTANCE * length)


def _suppressed_places(photo_id: UUID) -> list[FaceSuppression]:
    return list(FaceSuppression.objects.filter(photo_id=photo_id).order_by("id"))


def _lying_in(places: Sequence[Box], found: Sequence[Box]) -> set[int]:
    """Give the indices of those found that are the same face as one of the places, if there is one there."""
    if not places or not found:
        return set()
    return {int(index) for index in np.flatnonzero(_overlaps(places, found).max(axis=0) >= SAME_FACE_OVERLAP)}


def _overlaps(one: Sequence[Box], other: Sequence[Box]) -> np.ndarray:
    """Give intersection over union of every pair: float64 (len(one), len(other)), 0 to 1."""
    first, second = _boxes(one)[:, None, :], _boxes(other)[None, :, :]
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., 2:], second[..., 2:])
    intersection = np.prod(np.clip(high - low, 0, None), axis=-1)
    areas = [np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1) for boxes in (first, second)]
    return intersection / (areas[0] + areas[1] - intersection)


def _boxes(faces: Sequence[Box]) -> np.ndarray:
    return np.array([(face.left, face.top, face.right, face.bottom) for face in faces], dtype=np.float64)


def _update(face: Face, *, version: str, found: FoundFace) -> None:
    for field, value in asdict(found).items():
        setattr(face, field, value)
    face.version = version
    face.save()


def forget_faces(*, face_ids: Sequence[UUID]) -> None:
    """Remove faces with their vectors; the groups that lose them are noted.

    In the caller's transaction, which has locked them, and keeps stages from the photo.
    """
    _note_losses(FaceEmbedding.objects.filter(face_id__in=face_ids).only(*_LOSS_FIELDS))
    Face.objects.filter(pk__in=face_ids).delete()


def _note_losses(embeddings: Iterable[FaceEmbedding]) -> None:
    """Note the groups that lose these embeddings, so that the next grouping looks at what is left of them."""
    GroupLoss.objects.bulk_create(
        GroupLoss(library_id=row.library_id, model=row.model, component=row.component)
        for row in embeddings
        if row.component is not None
    )


def has_faces(*, photo_id: UUID) -> bool:
    """Tell whether the photo has a face row, be it kept or a candidate."""
    return Face.objects.filter(photo_id=photo_id).exists()


def forget_embeddings(*, embedding_ids: Sequence[UUID]) -> None:
    """Remove vectors, in the caller's transaction; the groups that lose them are noted."""
    locked = FaceEmbedding.objects.select_for_update().filter(pk__in=embedding_ids).order_by("id")
    rows = list(locked.only(*_LOSS_FIELDS))
    _note_losses(rows)
    FaceEmbedding.objects.filter(pk__in=[row.pk for row in rows]).delete()
