"""The stages that there are, in the order in which a photo goes through them."""

from functools import cache

from processing.stages.base import Stage
from processing.stages.exif import ExifStage
from processing.stages.face_detection import FaceDetectionStage
from processing.stages.face_embedding import FaceEmbeddingStage
from processing.stages.image_embedding import ImageEmbeddingStage
from processing.stages.place import PlaceStage
from processing.stages.renditions import RenditionsStage


@cache
def all_stages() -> tuple[Stage, ...]:
    """Give every stage; one that reads another's result comes after it."""
    return (
        ExifStage(),
        PlaceStage(),
        RenditionsStage(),
        FaceDetectionStage(),
        FaceEmbeddingStage(),
        ImageEmbeddingStage(),
    )


def get(name: str) -> Stage:
    """Give the stage of this name; KeyError if there is none."""
    return {stage.name: stage for stage in all_stages()}[name]


def children_of(name: str) -> list[Stage]:
    """Give the stages that read the result of this one."""
    return [stage for stage in all_stages() if stage.needs == name]


def of_queue(queues: set[str]) -> list[Stage]:
    """Give the stages that these queues serve."""
    return [stage for stage in all_stages() if stage.queue in queues]
