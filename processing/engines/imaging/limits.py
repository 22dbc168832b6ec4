"""Limits of a process that decodes strangers' files: a bomb or a hang costs this process and nothing else."""

import math
import resource


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


def rearm_cpu(seconds: float) -> None:
    """Allow this process, all its threads together, `seconds` more of CPU time; called for each file.

    When they are used up the kernel sends SIGXCPU, which ends the process (Python leaves it at its default):
    the parent sees exit by signal 24. The limit is whole seconds, rounded up. The hard limit stays where it
    is: lowered, it could not be raised for the next file.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = math.ceil(used.ru_utime + used.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _lower(kind: int, limit: int) -> None:
    _, hard = resource.getrlimit(kind)
    lowest = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(kind, (lowest, lowest))
