"""Photos for tests of the pipeline, and the steps by which a test takes them through it in its own process."""

import io
import itertools
import uuid
from functools import cache
from pathlib import Path

import numpy as np
import pillow_heif
import skimage
from django.core.files.base import ContentFile
from django.db.models import QuerySet
from PIL import Image, ImageEnhance

from accounts.models import Library
from photos import storage
from photos.models import Face, FaceEmbedding, Metadata, Person, Photo, Rendition
from processing import ingest
from processing.models import StageRun
from processing.models.ledger import Lane
from processing.pipeline import library_work, working
from processing.pipeline.planning import plan
from processing.stages import registry

_numbers = itertools.count(1)


def picture(*, size: tuple[int, int] = (64, 48), image_format: str = "JPEG", **options: object) -> bytes:
    """Encode a picture of two colours without a face; another one each time."""
    number = next(_numbers)
    # steps that no JPEG takes for equal
    image = Image.new("RGB", size, (number * 37 % 256, number * 101 % 256, 90))
    image.paste((200, number * 59 % 256, 30), (0, 0, size[0] // 2, size[1] // 2))
    return _encoded(image, image_format, **options)


def damaged_picture() -> bytes:
    """Encode a JPEG whose header is whole and whose pixels end half-way."""
    noise = np.random.default_rng(next(_numbers)).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    data = _encoded(Image.fromarray(noise), "JPEG")
    return data[: len(data) // 2]


def portrait(*, brightness: float = 1.0, faces: int = 1, **options: object) -> bytes:
    """Encode a portrait of one person, `faces` times side by side; equal arguments give equal bytes."""
    person = ImageEnhance.Brightness(_astronaut()).enhance(brightness)
    row = Image.new("RGB", (person.width * faces, person.height))
    for place in range(faces):
        row.paste(person, (place * person.width, 0))
    return _encoded(row, "JPEG", quality=90, **options)


def content(data: bytes) -> ContentFile:
    """Wrap bytes as a store takes them."""
    return ContentFile(data)


def storage_copy(key: str, to: str) -> None:
    """Store a derived object a second time, under another key."""
    data = storage.read_object(alias=storage.RENDITIONS, key=key)
    storage.write_object(alias=storage.RENDITIONS, key=to, file=content(data))


def take_in(library: Library, data: bytes, *, filename: str = "photo.jpg") -> Photo:
    """Put a file through the door that uploads use."""
    return ingest.take_in(library=library, file=io.BytesIO(data), filename=filename).photo


def plan_missing(photos: QuerySet[Photo]) -> int:
    """Plan the runs that photos should have and have not, as a backfill; gives how many."""
    return plan(list(photos.values_list("pk", flat=True)), lane=Lane.BACKFILL)


def run(stage: str) -> int:
    """Run what is pending of a stage, as a Celery task does; gives how many runs were taken."""
    return working.work(stage_name=stage, task_id=uuid.uuid4().hex, worker="worker@test")


def run_people() -> int:
    """Group the faces of the libraries that ask for it; gives how many runs were taken."""
    return run_library_work("people")


def run_library_work(kind: str) -> int:
    """Run what is pending of a kind of library work; gives how many runs were taken."""
    return library_work.work(kind=kind, task_id=uuid.uuid4().hex, worker="worker@test")


def run_everything() -> None:
    """Plan what waits to be planned, run all stages in order, then group."""
    run_library_work("plan")
    for stage in registry.all_stages():
        run(stage.name)
    run_people()


def take_through(library: Library, data: bytes) -> Photo:
    """Take a photo in and run all its stages."""
    photo = take_in(library, data)
    run_everything()
    photo.refresh_from_db()
    return photo


def states(photo: Photo) -> dict[str, str]:
    """Give the state of each stage of a photo that has one run of each."""
    return dict(photo.stage_runs.values_list("stage", "state"))


def run_of(photo: Photo, stage: str) -> StageRun:
    """Give a photo's only run of a stage."""
    return photo.stage_runs.get(stage=stage)


def written_rows() -> dict[str, list[dict[str, object]]]:
    """Give all rows that stages write, by model."""
    models = (Metadata, Rendition, Face, FaceEmbedding, Person, Photo)
    return {model.__name__: list(model.objects.order_by("pk").values()) for model in models}


def files_below(folder: Path) -> dict[str, bytes]:
    """Give the bytes of every file, by its path below the folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@cache
def _astronaut() -> Image.Image:
    with Image.open(Path(skimage.__file__).parent / "data" / "astronaut.png") as image:
        return image.convert("RGB").crop((60, 0, 400, 300))


def _encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    if image_format == "HEIF":
        pillow_heif.from_pillow(image).save(buffer, **options)
    else:
        image.save(buffer, image_format, **options)
    return buffer.getvalue()
