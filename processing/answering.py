"""Answering what web processes ask: a vector of words, or of the face on a picture. In workers, step by step.

A stranger's picture is decoded by a worker of `ingest`, whose processes are limited, and by no other: those with models
see the preview that it made.
"""

import io
import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import DatabaseError, connection

from processing.engines import catalogue, imaging, installation
from processing.engines.detection import DetectedFace
from processing.engines.embedding import AlignedInput
from processing.engines.errors import EngineError
from processing.models import Question
from processing.services import questions
from processing.stages import loaded_models

logger = logging.getLogger(__name__)

Step = Question.Step
NO_FACE_FOUND, NO_SUCH_FACE, UNEXPECTED = "no_face_found", "no_such_face", "unexpected_error"
# of a preview on which faces are looked for, as stages have it
PREVIEW = "preview"

_TAKE = """
UPDATE processing_question SET taken_at = clock_timestamp() WHERE id = (
    SELECT id FROM processing_question
    WHERE step = ANY(%(steps)s) AND taken_at IS NULL AND expires_at > clock_timestamp()
        AND (step = 'picture' OR needs <@ %(installed)s::jsonb)
    ORDER BY asked_at LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING id, step, needs, asked, content
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """A question in hand."""

    id: UUID
    step: Step
    needs: dict[str, str]
    asked: dict[str, Any]
    content: bytes | None


class _RefusedError(Exception):
    """The question cannot be answered, for what lies in it."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def answer_pending(*, queue: str) -> int:
    """Do the next step of every question that waits for workers of a queue; gives how many steps.

    What goes wrong with one is said to whoever asked, and is nobody else's trouble: stages call this between two
    claims. Raises the database's errors.
    """
    steps = [step for step, served in questions.QUEUES.items() if served == queue]
    count = 0
    while steps and Question.objects.filter(step__in=steps, taken_at__isnull=True).exists():
        taken = _take(steps)
        if taken is None:
            break
        _answer(taken)
        count += 1
    return count


def _take(steps: Sequence[Step]) -> Taken | None:
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, {"steps": list(steps), "installed": json.dumps(_installed(steps))})
        row = cursor.fetchone()
    if row is None:
        return None
    question_id, step, needs, asked, content = row
    picture = None if content is None else bytes(content)
    return Taken(question_id, Step(step), json.loads(needs), json.loads(asked), picture)


def _installed(steps: Collection[Step]) -> dict[str, str]:
    """Give what this host has of what these steps may take: names and weights hashes."""
    tasks = {Step.WORDS: ("image_embedding",), Step.FACE: ("face_detection", "face_embedding")}
    wanted = {task for step in steps for task in tasks.get(step, ())}
    found = (
        model for task in wanted for model in installation.installed_models(task=task, models_dir=settings.MODELS_DIR)
    )
    return {model.name: model.weights_hash for model in found}


def _answer(taken: Taken) -> None:
    try:
        _STEPS[taken.step](taken)
    except (SoftTimeLimitExceeded, DatabaseError):
        raise
    except _RefusedError as error:
        _refuse(taken, error.code, str(error))
    except EngineError as error:
        _refuse(taken, error.code, str(error))
    except Exception:
        # whoever asked is answered, and whoever runs the installation reads why
        logger.exception("a question could not be answered")
        _refuse(taken, UNEXPECTED, "Something went wrong here. It has been logged.")


def _refuse(taken: Taken, code: str, detail: str) -> None:
    values = {"step": Step.REFUSED, "error_code": code, "error_detail": detail[:500], "content": None}
    Question.objects.filter(pk=taken.id).update(**values)


def _embed_words(taken: Taken) -> None:
    [name] = taken.needs
    [vector] = loaded_models.text_encoder(name).encode([taken.asked["words"]])
    _finish(taken, {"vector": [float(number) for number in vector]})


def _decode_picture(taken: Taken) -> None:
    file = io.BytesIO(taken.content or b"")
    header = imaging.read_header(file, max_pixels=settings.IMAGE_MAX_PIXELS)
    file.seek(0)
    pixels = max(header.width * header.height, imaging.coded_pixels(file, image_format=header.format))
    file.seek(0)
    allowance = imaging.time_allowance(
        pixels=pixels,
        max_pixels=settings.IMAGE_MAX_PIXELS,
        cpu_seconds=settings.DECODE_CPU_SECONDS,
        wall_seconds=settings.DECODE_WALL_SECONDS,
    )
    with imaging.time_limited(file, allowance) as clocked:
        sizes = {PREVIEW: settings.RENDITION_SIZES[PREVIEW]}
        quality, most = settings.RENDITION_QUALITY, settings.IMAGE_MAX_PIXELS
        [preview] = imaging.render(clocked, sizes=sizes, quality=quality, max_pixels=most).renditions
    rows = Question.objects.filter(pk=taken.id)
    if rows.update(step=Step.FACE, content=preview.data, taken_at=None):
        questions.ring(Step.FACE)


def _embed_face(taken: Taken) -> None:
    names = {catalogue.get(name).task: name for name in taken.needs}
    preview = imaging.decode_rgb(taken.content or b"")
    faces = [face for face in loaded_models.detector(names["face_detection"]).detect([preview])[0] if _is_kept(face)]
    if not faces:
        raise _RefusedError(NO_FACE_FOUND, "No face was found on the picture.")
    faces.sort(key=_area, reverse=True)
    used = taken.asked.get("face", 0)
    if used >= len(faces):
        raise _RefusedError(NO_SUCH_FACE, f"The picture has {len(faces)} faces, counted from 0.")
    chip = imaging.cut_chip(
        preview,
        box=faces[used].box,
        landmarks=faces[used].landmarks,
        margin=settings.FACE_CHIP_MARGIN,
        max_side=settings.FACE_CHIP_MAX_SIDE,
        quality=settings.FACE_CHIP_QUALITY,
    )
    # as the stage does: from the encoded chip
    aligned = AlignedInput(image=imaging.decode_rgb(chip.data), box=chip.box, landmarks=chip.landmarks)
    [vector] = loaded_models.embedder(names["face_embedding"]).embed([aligned])
    height, width = preview.shape[:2]
    boxes = [_fractions(face, width=width, height=height) for face in faces]
    _finish(taken, {"vector": [float(number) for number in vector], "boxes": boxes, "used": used})


_STEPS = {Step.WORDS: _embed_words, Step.PICTURE: _decode_picture, Step.FACE: _embed_face}


def _finish(taken: Taken, answer: dict[str, Any]) -> None:
    Question.objects.filter(pk=taken.id).update(step=Step.ANSWERED, answer=answer, content=None)


def _is_kept(face: DetectedFace) -> bool:
    """Whether a face is as good as those that are shown and grouped."""
    return face.confidence >= settings.FACE_MIN_CONFIDENCE and face.quality >= settings.FACE_MIN_QUALITY


def _area(face: DetectedFace) -> float:
    left, top, right, bottom = face.box
    return (right - left) * (bottom - top)


def _fractions(face: DetectedFace, *, width: int, height: int) -> dict[str, float]:
    left, top, right, bottom = (float(value) for value in face.box)
    sides = {"left": left / width, "top": top / height, "right": right / width, "bottom": bottom / height}
    return {name: float(np.clip(value, 0, 1)) for name, value in sides.items()}
