"""Stage `face_embedding`: a vector of each face, per selected model, from the face chips."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from uuid import UUID

import numpy as np
from django.conf import settings

from photos import integrity
from photos.models import Face
from photos.services import faces
from processing.engines import imaging
from processing.engines.embedding import AlignedInput
from processing.ledger import Lease
from processing.services import grouping
from processing.stages import loaded_models
from processing.stages.base import InputMissingError, Loaded, Stage, Written, model_of


@dataclass(frozen=True, slots=True)
class Chip:
    """One stored chip of a face, encoded; box and landmarks in its pixels."""

    face_id: UUID
    data: bytes
    box: tuple[float, ...]
    landmarks: tuple[tuple[float, ...], ...]


class FaceEmbeddingStage(Stage):
    """Reads face chips, never an original; replaces the FaceEmbedding rows of one model."""

    name = "face_embedding"
    queue = "embeddings"
    needs = "face_detection"
    model_task = "face_embedding"
    is_face_work = True

    @property
    def claim_size(self) -> int:
        """A batch for the device, across photos."""
        return settings.EMBEDDINGS_BATCH_SIZE

    def load(self, lease: Lease) -> Loaded:
        """Read the chips of all faces of the photo, candidates too: moving the floor costs no second embedding."""
        rows = list(
            Face.objects.filter(photo_id=lease.subject_id)
            .order_by("id")
            .select_related("photo")
            .only("chip_key", "chip_sha256", "chip_box", "chip_landmarks", "photo__library_id")
        )
        if not rows:
            raise InputMissingError("The photo has no faces.")
        chips = [
            Chip(
                face_id=row.pk,
                data=integrity.read_derived(key=row.chip_key, sha256=row.chip_sha256),
                box=tuple(row.chip_box),
                landmarks=tuple(tuple(point) for point in row.chip_landmarks),
            )
            for row in rows
        ]
        return Loaded(photo_id=lease.subject_id, library_id=rows[0].photo.library_id, data=chips)

    def compute(self, loaded: Sequence[Loaded], *, version: str) -> list[dict[UUID, np.ndarray]]:
        """Embed the chips of all photos of the batch at once; gives {face id: float32 (dimensions,)} per photo."""
        chips: list[Chip] = [chip for one in loaded for chip in one.data]
        vectors = loaded_models.embedder(model_of(version)).embed(
            [
                AlignedInput(image=imaging.decode_rgb(chip.data), box=chip.box, landmarks=chip.landmarks)
                for chip in chips
            ]
        )
        ends = np.cumsum([0, *(len(one.data) for one in loaded)])
        return [
            {chip.face_id: vector for chip, vector in zip(chips[start:end], vectors[start:end], strict=True)}
            for start, end in pairwise(ends)
        ]

    def write(self, loaded: Loaded, stored: dict[UUID, np.ndarray], *, version: str) -> Written:
        """Replace the FaceEmbedding rows of this model, and ask for a grouping that reads them."""
        model = model_of(version)
        # the request first: a grouping that is being written holds its run before it reaches for embeddings
        grouping.request(library_id=loaded.library_id, model=model)
        faces.replace_embeddings(library_id=loaded.library_id, model=model, version=version, vectors=stored)
        return Written()
