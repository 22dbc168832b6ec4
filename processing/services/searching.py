"""What a search needs of the workers: the vector of words, and the vector of a face on a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from django.conf import settings

from photos.problems import RefusedFileError
from photos.services import text_embeddings
from processing.engines import imaging
from processing.engines.errors import EngineError
from processing.models import Question
from processing.models_in_use import require_model
from processing.services import questions
from processing.services.questions import FaceSearchUnavailableError, RefusedQuestionError, TextSearchUnavailableError

IMAGE_EMBEDDING = "image_embedding"


@dataclass(frozen=True, slots=True)
class WordsVector:
    """Words as a model sees them."""

    model: str
    vector: Sequence[float]


@dataclass(frozen=True, slots=True)
class PictureFace:
    """The face of a picture that was used: its vector, and all boxes, the largest first, in fractions."""

    model: str
    vector: Sequence[float]
    boxes: Sequence[dict[str, float]]
    used: int


def vector_of_words(words: str) -> WordsVector:
    """Give the vector of words by the image model in use: one that is kept, or a worker's.

    Raises ModelNotInUseError, TextSearchUnavailableError.
    """
    chosen = require_model(IMAGE_EMBEDDING)
    named = {"model": chosen.name, "weights_hash": chosen.weights_hash}
    kept = text_embeddings.find(words, **named)
    if kept is not None:
        return WordsVector(chosen.name, kept)
    wanted = questions.Ask(
        step=Question.Step.WORDS,
        needs={chosen.name: chosen.weights_hash},
        asked={"words": text_embeddings.cleaned(words)},
        seconds=settings.SEARCH_TEXT_SECONDS,
        unavailable=TextSearchUnavailableError,
    )
    try:
        vector = questions.ask(wanted)["vector"]
    except RefusedQuestionError as error:
        raise TextSearchUnavailableError(f"The worker could not read the words: {error.detail}") from error
    text_embeddings.keep(words=words, vector=vector, **named)
    return WordsVector(chosen.name, vector)


def face_of_picture(file: BinaryIO, *, face: int) -> PictureFace:
    """Give the face of a picture by the face models in use; `face` is its place, the largest first.

    Nothing of the picture is kept. Raises ModelNotInUseError, FaceSearchUnavailableError, RefusedFileError
    (`no_face_found`, `no_such_face`, and as an upload does).
    """
    chosen = [require_model(task) for task in ("face_detection", "face_embedding")]
    try:
        imaging.read_header(file, max_pixels=settings.IMAGE_MAX_PIXELS)
    except EngineError as error:
        raise RefusedFileError(error.code, str(error)) from error
    file.seek(0)
    wanted = questions.Ask(
        step=Question.Step.PICTURE,
        needs={one.name: one.weights_hash for one in chosen},
        asked={"face": face},
        content=file.read(),
        seconds=settings.SEARCH_FACE_SECONDS,
        unavailable=FaceSearchUnavailableError,
    )
    try:
        answer = questions.ask(wanted)
    except RefusedQuestionError as error:
        if error.code in _OURS:
            raise FaceSearchUnavailableError(error.detail) from error
        raise RefusedFileError(error.code, error.detail) from error
    return PictureFace(chosen[1].name, answer["vector"], answer["boxes"], answer["used"])


# what is no fault of the picture's
_OURS = frozenset(
    {"unexpected_error", "model_not_installed", "weights_mismatch", "out_of_memory", "device_unavailable"}
)
