"""What the database says of a few hundred photos: nine queries, however many they are."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import F, FloatField, Func, QuerySet

from photos.models import Face, FaceEmbedding, ImageEmbedding, Metadata, Photo, Rendition
from processing.consent import libraries_wanting_faces
from processing.models import RunState, StageRun
from processing.stages.base import model_of

PHOTOS_AT_ONCE = 500


class PhotoRow(NamedTuple):
    """A photo. `with_faces`: face work is wanted in its library; `consent`: face analysis is on there."""

    pk: UUID
    library_id: UUID
    with_faces: bool
    consent: bool
    consent_changed_at: datetime | None
    sha256: str
    byte_size: int
    alias: str
    key: str
    trashed_at: datetime | None
    thumbhash: bytes | None
    perceptual_hash: int | None
    # the hash in the row of its own that similar photos are looked up by
    fingerprint: int | None


class RunRow(NamedTuple):
    """A run of a stage."""

    pk: UUID
    photo_id: UUID
    stage: str
    version: str
    state: str
    lane: int
    skip_reason: str
    commits: int
    queued_at: datetime | None
    not_before: datetime | None
    lease_until: datetime | None
    finished_at: datetime | None

    @property
    def model(self) -> str:
        """The model whose rows it writes; nothing for a stage without one."""
        return model_of(self.version)


class RenditionRow(NamedTuple):
    """A rendition."""

    pk: UUID
    photo_id: UUID
    kind: str
    version: str
    key: str
    width: int
    height: int
    byte_size: int
    sha256: str


class FaceRow(NamedTuple):
    """A face and its chip."""

    pk: UUID
    photo_id: UUID
    version: str
    left: float
    top: float
    right: float
    bottom: float
    chip_key: str
    chip_sha256: str
    chip_width: int
    chip_height: int
    is_decided: bool


class EmbeddingRow(NamedTuple):
    """A vector's facts; `length` is Euclidean."""

    pk: UUID
    face_id: UUID
    photo_id: UUID
    library_id: UUID
    model: str
    version: str
    dimensions: int
    length: float


class ImageVectorRow(NamedTuple):
    """The facts of a photo's vector; `length` is Euclidean."""

    pk: UUID
    photo_id: UUID
    library_id: UUID
    model: str
    version: str
    dimensions: int
    length: float


class Batch:
    """A few photos with all their rows, each list in the order of keys.

    Read query by query, so a commit may fall in between: what looks wrong is looked at again.
    """

    def __init__(self, photo_ids: Sequence[UUID]) -> None:
        libraries = Photo.objects.filter(pk__in=photo_ids).values("library_id")
        wanting = set(libraries_wanting_faces().filter(pk__in=libraries).values_list("pk", flat=True))
        photos = Photo.objects.filter(pk__in=photo_ids).order_by("pk").values_list(*_PHOTO)
        self.photos = [PhotoRow(pk, library, library in wanting, *rest) for pk, library, *rest in photos]
        ids = [photo.pk for photo in self.photos]
        self.runs = _by_photo(StageRun.objects.filter(photo_id__in=ids), RunRow, _RUN)
        self.renditions = _by_photo(Rendition.objects.filter(photo_id__in=ids), RenditionRow, _RENDITION)
        self.metadata = _by_key(Metadata.objects.filter(pk__in=ids))
        self.faces = _by_photo(Face.objects.filter(photo_id__in=ids), FaceRow, _FACE)
        vectors = FaceEmbedding.objects.filter(face__photo_id__in=ids).annotate(length=_LENGTH)
        self.embeddings = _by_photo(vectors, EmbeddingRow, _EMBEDDING)
        of_photos = ImageEmbedding.objects.filter(photo_id__in=ids).annotate(length=_LENGTH)
        self.image_vectors = _by_photo(of_photos, ImageVectorRow, _IMAGE_VECTOR)

    def changes_until(self, photo_id: UUID, *, now: datetime) -> datetime | None:
        """Give the moment until which somebody may be changing the photo; none if nobody has it in hand."""
        leases = [run.lease_until for run in self.runs[photo_id] if run.state == RunState.RUNNING]
        return max((one for one in leases if one > now), default=None)


_PHOTO = ("pk", "library_id", "library__face_analysis", "library__face_analysis_changed_at", "sha256", "byte_size")
_PHOTO = (*_PHOTO, "storage_alias", "storage_key", "trashed_at", "thumbhash", "perceptual_hash", "fingerprint__hash")
_RUN = ("pk", "photo_id", "stage", "version", "state", "lane", "skip_reason", "commits", "queued_at", "not_before")
_RUN = (*_RUN, "lease_until", "finished_at")
_RENDITION = ("pk", "photo_id", "kind", "version", "storage_key", "width", "height", "byte_size", "sha256")
_FACE = ("pk", "photo_id", "version", "left", "top", "right", "bottom", "chip_key", "chip_sha256", "chip_width")
_FACE = (*_FACE, "chip_height", "person_decided")
_EMBEDDING = ("pk", "face_id", "face__photo_id", "library_id", "model", "version", "dimensions", "length")
_IMAGE_VECTOR = ("pk", "photo_id", "library_id", "model", "version", "dimensions", "length")
_LENGTH = Func(F("vector"), function="l2_norm", output_field=FloatField())


def photos_in_order(library_id: UUID | None) -> Iterator[list[UUID]]:
    """Give the ids of the photos that are there now, a few hundred at a time; those that come in meanwhile are not."""
    photos = Photo.objects.all() if library_id is None else Photo.objects.filter(library_id=library_id)
    end = photos.order_by("-pk").values_list("pk", flat=True).first()
    if end is None:
        return
    seen = None
    while True:
        rest = photos.filter(pk__lte=end) if seen is None else photos.filter(pk__gt=seen, pk__lte=end)
        ids = list(rest.order_by("pk").values_list("pk", flat=True)[:PHOTOS_AT_ONCE])
        if not ids:
            return
        seen = ids[-1]
        yield ids


def _by_photo(rows: QuerySet, kind: type, columns: Iterable[str]) -> dict[UUID, list]:
    found: dict[UUID, list] = defaultdict(list)
    for values in rows.order_by("pk").values_list(*columns):
        row = kind(*values)
        found[row.photo_id].append(row)
    return found


def _by_key(rows: QuerySet[Metadata]) -> dict[UUID, str]:
    return dict(rows.values_list("pk", "version"))
