"""What decoders raise, and what it means."""

import struct
import zlib

from PIL import Image, UnidentifiedImageError

from processing.engines.errors import DamagedImageError, OutOfMemoryError, TooManyPixelsError

_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)

# Not `Exception`, which would swallow the worker's soft time limit and the storage clients' own errors too.
DECODER_FAILURES = (
    *_BOMBS,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def translate(failure: Exception) -> DamagedImageError | OutOfMemoryError | TooManyPixelsError:
    """Return the engine error for what a decoder raised."""
    if isinstance(failure, _BOMBS):
        return TooManyPixelsError(str(failure))
    if isinstance(failure, UnidentifiedImageError):
        return DamagedImageError("the header is not one that a decoder can read")
    # Codecs report a failed allocation in words only; libheif says the same of files with absurd structures.
    words = str(failure).lower()
    failed_allocation = "out of memory" in words or "memory allocation" in words
    if isinstance(failure, MemoryError) or (failed_allocation and "security limit" not in words):
        return OutOfMemoryError(str(failure))
    return DamagedImageError(str(failure))
