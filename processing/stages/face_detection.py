"""Stage `face_detection`: faces on the preview, and a chip of each."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from django.conf import settings
from django.core.files.base import ContentFile

from photos import storage
from photos.services import faces
from processing.engines import imaging
from processing.engines.detection import DetectedFace
from processing.ledger import Lease
from processing.stages import loaded_models
from processing.stages.base import Loaded, Stage, Written, model_of
from processing.stages.previews import load_preview

NO_FACES = "no_faces"


@dataclass(frozen=True, slots=True)
class FaceWithChip:
    """A detected face in pixels of the preview, and its encoded chip."""

    face: DetectedFace
    chip: imaging.FaceChip


@dataclass(frozen=True, slots=True)
class FacesOfPreview:
    """The faces of one preview of `width` x `height` pixels."""

    width: int
    height: int
    faces: tuple[FaceWithChip, ...]


class FaceDetectionStage(Stage):
    """Reads the preview that we wrote, never an original; replaces the Face rows and their chips."""

    name = "face_detection"
    queue = "faces"
    needs = "renditions"
    model_task = "face_detection"
    is_face_work = True
    stores_objects = True

    @property
    def claim_size(self) -> int:
        """A batch for the device."""
        return settings.FACES_BATCH_SIZE

    def shaping_settings(self) -> Mapping[str, object]:
        """The lower floor and the chip's shape; the upper floor is asked for when faces are read."""
        return {
            "floor": settings.FACE_CANDIDATE_CONFIDENCE,
            "chip": (settings.FACE_CHIP_MARGIN, settings.FACE_CHIP_MAX_SIDE, settings.FACE_CHIP_QUALITY),
        }

    def load(self, lease: Lease) -> Loaded:
        """Read the preview."""
        return load_preview(lease)

    def compute(self, loaded: Sequence[Loaded], *, version: str) -> list[FacesOfPreview]:
        """Detect faces on a batch of previews and cut their chips."""
        previews = [imaging.decode_rgb(one.data) for one in loaded]
        found = loaded_models.detector(model_of(version)).detect(previews)
        return [_with_chips(preview, faces) for preview, faces in zip(previews, found, strict=True)]

    def store(self, loaded: Loaded, result: FacesOfPreview, *, version: str) -> list[faces.FoundFace]:
        """Put the chips. A chip's key is a function of the face's place, so a repetition writes the same objects.

        Of a face that is suppressed none is put; one that is from now on is dropped by `write`.
        """
        found = []
        places = [_box(one, width=result.width, height=result.height) for one in result.faces]
        suppressed = faces.suppressed(photo_id=loaded.photo_id, boxes=places)
        for number, one in enumerate(result.faces):
            if number in suppressed:
                continue
            key = storage.chip_key(
                library_id=loaded.library_id,
                photo_id=loaded.photo_id,
                version=version,
                position=_position(one.face.box),
            )
            storage.write_object(alias=storage.RENDITIONS, key=key, file=ContentFile(one.chip.data))
            found.append(_found_face(one, key=key, width=result.width, height=result.height))
        return found

    def write(self, loaded: Loaded, stored: list[faces.FoundFace], *, version: str) -> Written:
        """Replace the Face rows; without any, there is nothing to embed."""
        orphans = faces.replace_faces(photo_id=loaded.photo_id, version=version, found=stored)
        is_empty = not faces.has_faces(photo_id=loaded.photo_id)
        return Written(orphans=orphans, skip_children=NO_FACES if is_empty else "")


def _with_chips(preview: np.ndarray, found: Sequence[DetectedFace]) -> FacesOfPreview:
    kept = [face for face in found if face.confidence >= settings.FACE_CANDIDATE_CONFIDENCE]
    chips = [
        imaging.cut_chip(
            preview,
            box=face.box,
            landmarks=face.landmarks,
            margin=settings.FACE_CHIP_MARGIN,
            max_side=settings.FACE_CHIP_MAX_SIDE,
            quality=settings.FACE_CHIP_QUALITY,
        )
        for face in kept
    ]
    height, width = preview.shape[:2]
    pairs = tuple(FaceWithChip(face=face, chip=chip) for face, chip in zip(kept, chips, strict=True))
    return FacesOfPreview(width=width, height=height, faces=pairs)


def _position(box: Sequence[float]) -> str:
    """Name a place in a photo: a hash of the box in whole pixels."""
    corners = ",".join(str(round(value)) for value in box)
    return hashlib.sha256(corners.encode()).hexdigest()[:12]


def _box(one: FaceWithChip, *, width: int, height: int) -> faces.Place:
    left, top, right, bottom = one.face.box
    return faces.Place(left=left / width, top=top / height, right=right / width, bottom=bottom / height)


def _found_face(one: FaceWithChip, *, key: str, width: int, height: int) -> faces.FoundFace:
    left, top, right, bottom = one.face.box
    return faces.FoundFace(
        left=left / width,
        top=top / height,
        right=right / width,
        bottom=bottom / height,
        landmarks=[[x / width, y / height] for x, y in one.face.landmarks],
        confidence=min(one.face.confidence, 1.0),
        quality=one.face.quality,
        chip_key=key,
        chip_sha256=hashlib.sha256(one.chip.data).hexdigest(),
        chip_width=one.chip.width,
        chip_height=one.chip.height,
        chip_box=list(one.chip.box),
        chip_landmarks=[list(point) for point in one.chip.landmarks],
    )
