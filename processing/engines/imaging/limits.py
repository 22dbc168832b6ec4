"""Limits of a process that decodes strangers' files: a bomb costs this process and nothing else."""

import math
import resource
from pathlib import Path

_SIZES = Path("/proc/self/statm")


def apply_limits(*, memory_bytes: int, file_bytes: int) -> None:
    """Limit the address space, the size of files written and core dumps of this process, for good.

    - `memory_bytes` counts address space, which is more than resident memory: what the interpreter and its
      libraries have mapped is in it. A decoder that wants more fails: `OutOfMemoryError`; elsewhere
      `MemoryError`.
    - A write beyond `file_bytes` fails with `OSError` (EFBIG): Python ignores SIGXFSZ, whose default ends the
      process.
    - No core dump, which would hold the pixels of somebody's photo.

    A lower limit that is already in force stays.
    """
    _lower(resource.RLIMIT_AS, memory_bytes)
    _lower(resource.RLIMIT_FSIZE, file_bytes)
    _lower(resource.RLIMIT_CORE, 0)


def address_space_left() -> float:
    """Give how many bytes this process may map yet; infinite where it has no limit, or the system does not tell."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY or not _SIZES.exists():
        return math.inf
    return limit - int(_SIZES.read_text().split()[0]) * resource.getpagesize()


def _lower(kind: int, limit: int) -> None:
    _, hard = resource.getrlimit(kind)
    lowest = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(kind, (lowest, lowest))
