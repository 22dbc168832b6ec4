"""What the workers' engines make of one file, and how that is named."""

import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from billiard.common import human_status
from django.conf import settings

from photos.models import Metadata
from processing.engines import exif, imaging
from processing.engines.errors import EngineError
from processing.losses import PROCESS_CRASHED, PROCESS_KILLED, WORKER_LOST, describe_loss
from processing.stages.exif import metadata_values

DONE, REFUSED, DEAD, STOPPED = "done", "refused", "error", "stopped"
UNNAMED, CRASHED = "UNNAMED", "CRASHED"
BAD = frozenset({UNNAMED, CRASHED})


@dataclass(frozen=True, slots=True)
class Outcome:
    """`state` is one of the constants above, `code` the stable code; `story` tells a person of a bad one."""

    state: str
    code: str = ""
    story: str = ""


def examine(data: bytes) -> Outcome:
    """Take a file through the door and the two stages that open originals, as the server and the workers do.

    It lies on disk, as originals do: a file in memory can be told to go to places where no other has any.
    """
    with tempfile.TemporaryFile() as file:
        file.write(data)
        return _examine(file)


def _examine(file: BinaryIO) -> Outcome:
    try:
        header = imaging.read_header(file, max_pixels=settings.IMAGE_MAX_PIXELS)
    except Exception as error:  # noqa: BLE001 - whatever is not an engine's own error is what is looked for
        return _named(error, REFUSED)
    warnings: list[str] = []
    for stage in (_read_metadata, _render):
        outcome = _attempt(stage, file, header, warnings)
        if outcome is not None:
            return outcome
    return Outcome(DONE, "with warnings" if warnings else "")


def of_death(status: int) -> Outcome:
    """Name the death of the process that examined a file; `status` is as `subprocess` gives it."""
    code, detail = describe_loss(RuntimeError(human_status(status)))
    is_bad = code in {PROCESS_CRASHED, PROCESS_KILLED, WORKER_LOST}
    return Outcome(CRASHED if is_bad else STOPPED, code, detail if is_bad else "")


def _attempt(
    stage: Callable[[BinaryIO, imaging.ImageHeader], list[str]],
    file: BinaryIO,
    header: imaging.ImageHeader,
    warnings: list[str],
) -> Outcome | None:
    try:
        shown = header.width * header.height
        allowance = imaging.time_allowance(
            pixels=max(shown, imaging.coded_pixels(file, image_format=header.format)),
            max_pixels=settings.IMAGE_MAX_PIXELS,
            cpu_seconds=settings.DECODE_CPU_SECONDS,
            wall_seconds=settings.DECODE_WALL_SECONDS,
        )
        file.seek(0)
        with imaging.time_limited(file, allowance) as clocked:
            warnings += stage(clocked, header)
    except Exception as error:  # noqa: BLE001 - as above
        return _named(error, DEAD)
    return None


def _read_metadata(file: BinaryIO, header: imaging.ImageHeader) -> list[str]:
    """Read the tags, and see that the row would take them."""
    found = exif.read_metadata(file, image_format=header.format)
    Metadata(**metadata_values(found)).clean_fields(exclude=["photo", "version"])
    return [warning.code for warning in found.warnings]


def _render(file: BinaryIO, header: imaging.ImageHeader) -> list[str]:
    """Make all renditions, and open the preview as the processes that look for faces do."""
    warnings = imaging.check_scans(file, image_format=header.format)
    made = imaging.render(
        file,
        sizes=settings.RENDITION_SIZES,
        quality=settings.RENDITION_QUALITY,
        max_pixels=settings.IMAGE_MAX_PIXELS,
    )
    imaging.decode_rgb(made.renditions[0].data)
    return [warning.code for warning in warnings]


def _named(error: Exception, state: str) -> Outcome:
    if isinstance(error, EngineError):
        return Outcome(state, error.code)
    return Outcome(UNNAMED, type(error).__name__, "".join(traceback.format_exception(error)))
