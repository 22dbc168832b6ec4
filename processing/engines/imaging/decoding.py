"""One decode of a stranger's file, with every way in which a decoder can fail turned into an engine error."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pillow_heif
from PIL import (
    AvifImagePlugin,
    GifImagePlugin,
    Image,
    ImageChops,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from processing.engines.errors import DamagedImageError, OutOfMemoryError, TooManyPixelsError
from processing.engines.imaging.colour import unpack
from processing.engines.imaging.failures import DECODER_FAILURES, translate
from processing.engines.imaging.header import coded_pixels, read_header, require_allowed
from processing.engines.imaging.header_bytes import HeaderBytes
from processing.engines.imaging.heif_header import require_pixels
from processing.engines.imaging.limits import address_space_left
from processing.engines.imaging.tiff_header import exif_orientation

# Named, so that Pillow has no need to load its forty others to look for them.
PLUGINS = (
    AvifImagePlugin,
    GifImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
Image.preinit()

# A pool has a child for each core; more threads in a child only cost address space, which is limited.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
pillow_heif.options.DECODE_THREADS = 1
# Only the primary picture is wanted; every other item in the container is attack surface.
pillow_heif.options.THUMBNAILS = False
pillow_heif.options.DEPTH_IMAGES = False
pillow_heif.options.AUX_IMAGES = False

# Photo editors write histories of several MB into PNG text; Pillow's own limit of 1 MB refuses such files.
_MAX_PNG_TEXT = 16 << 20

# of address space, more than any decoder here takes at its worst moment, its threads' stacks with it
_DECODER_BYTES, _DECODER_BYTES_PER_PIXEL = 64 << 20, 20

_pillow_globals = threading.Lock()


@dataclass(frozen=True, slots=True)
class DecodedPhoto:
    """The first frame of a photo in a mode that may be resampled, not upright, perhaps at a reduced scale.

    `box` is where the whole picture lies in `image`, in its (fractional) pixels; `size` is width and height
    of the original as stored. `icc_profile` is None where the file has none. `orientation` is 1 to 8 (EXIF).
    """

    image: Image.Image
    box: tuple[float, float, float, float]
    size: tuple[int, int]
    orientation: int
    icc_profile: bytes | None


class WatchedFile:
    """A file that remembers the failure of its storage, which a decoder would report as a damaged picture.

    Only reading counts: a seek fails when the picture asks for an impossible place.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.failure: Exception | None = None

    def read(self, length: int = -1) -> bytes:
        """Read as the file behind does."""
        try:
            return self._file.read(length)
        except (ArithmeticError, MemoryError, ValueError):
            raise  # an absurd length, which the picture asked for
        except Exception as failure:
            self.failure = failure
            raise

    def seek(self, offset: int, whence: int = 0) -> int:
        """Seek as the file behind does."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position in the file behind."""
        return self._file.tell()


def decode(file: BinaryIO | Path, *, long_side: int, max_pixels: int) -> DecodedPhoto:
    """Decode the first frame of `file`.

    A JPEG is decoded at the smallest scale that leaves its longer side `long_side` px or more. Pillow's
    limits are globals of a process, so threads decode one after the other. Raises what `read_header` raises,
    DamagedImageError and OutOfMemoryError; errors of the storage pass through.
    """
    with file.open("rb") if isinstance(file, Path) else nullcontext(file) as stream:
        watched = WatchedFile(stream)
        header = read_header(watched, max_pixels=max_pixels)
        pixels = max(header.width * header.height, coded_pixels(watched, image_format=header.format))
        is_short = address_space_left() < _DECODER_BYTES + pixels * _DECODER_BYTES_PER_PIXEL
        try:
            with _pillow_limits(max_pixels):
                return _decode(watched, header.format, long_side)
        except DECODER_FAILURES as failure:
            if watched.failure is not None:
                raise watched.failure from failure
            raise _judged(failure, is_short=is_short) from failure


def _judged(failure: Exception, *, is_short: bool) -> DamagedImageError | OutOfMemoryError | TooManyPixelsError:
    """Return the engine error for what a decoder raised where memory may have been short.

    libwebp and libjpeg call an allocation that failed damage: a photo must not be dead for good for it.
    """
    error = translate(failure)
    return OutOfMemoryError(str(failure)) if is_short and isinstance(error, DamagedImageError) else error


@contextmanager
def _pillow_limits(max_pixels: int) -> Iterator[None]:
    """Set Pillow's limits and the warning filters, globals of the process, for one decode at a time."""
    with _pillow_globals, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # broken metadata beside good pixels
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        before = Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK
        Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK = max_pixels, _MAX_PNG_TEXT
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK = before


def _decode(file: WatchedFile, image_format: str, long_side: int) -> DecodedPhoto:
    image = _opened(file, image_format)
    stored_size = image.size
    drafted = None
    if image_format == "JPEG":
        scale = min(1.0, long_side / max(stored_size))
        drafted = image.draft(None, tuple(max(1, int(side * scale)) for side in stored_size))
    image.load()
    # other formats may learn their true size while decoding
    require_allowed(image.size, max_pixels=Image.MAX_IMAGE_PIXELS)
    size, box = (stored_size, drafted[1]) if drafted else (image.size, (0, 0, *image.size))
    return DecodedPhoto(
        image=unpack(_ink(image)),
        box=box,
        size=size,
        orientation=_orientation(image, image_format),
        icc_profile=image.info.get("icc_profile"),
    )


def _opened(file: WatchedFile, image_format: str) -> Image.Image:
    if image_format == "HEIF":
        require_pixels(HeaderBytes(file))
        image = pillow_heif.HeifImageFile(file)
        # Pillow looks at the size in `Image.open` alone
        require_allowed(image.size, max_pixels=Image.MAX_IMAGE_PIXELS)
        return image
    # MPO is identified through JPEG; naming it here would make unknown files raise KeyError.
    return Image.open(file, formats=(image_format,))


def _ink(image: Image.Image) -> Image.Image:
    """Undo Pillow's inversion of a CMYK JPEG that lacks the Adobe marker: only Adobe stores ink inverted."""
    if image.format in {"JPEG", "MPO"} and image.mode == "CMYK" and "adobe" not in image.info:
        return ImageChops.invert(image)
    return image


def _orientation(image: Image.Image, image_format: str) -> int:
    # libheif and Pillow's TIFF plugin have turned the pixels already; Pillow states AVIF's own turn as EXIF.
    if image_format in {"HEIF", "TIFF"}:
        return 1
    return exif_orientation(image.info.get("exif", b""))
