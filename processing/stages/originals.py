"""Opening the file of a stranger, under the limits that the settings name."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from django.conf import settings

from photos import integrity
from photos.models import Photo
from processing.engines import imaging


@contextmanager
def open_original(photo: Photo) -> Iterator[BinaryIO]:
    """Open a photo's original for an engine; what is done inside the block is limited in time by the photo's size.

    In a pool child the limits end the process, and its parent gives the run back. Raises as `integrity.open_original`
    does, and DamagedImageError.
    """
    with integrity.open_original(photo) as file:
        pixels = max(photo.width * photo.height, imaging.coded_pixels(file, image_format=photo.image_format))
        file.seek(0)
        allowance = imaging.time_allowance(
            pixels=pixels,
            max_pixels=settings.IMAGE_MAX_PIXELS,
            cpu_seconds=settings.DECODE_CPU_SECONDS,
            wall_seconds=settings.DECODE_WALL_SECONDS,
        )
        with imaging.time_limited(file, allowance) as clocked:
            yield clocked
