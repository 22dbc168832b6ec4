"""Files that are downloaded, in parts until they are whole."""

import errno
import fcntl
import hashlib
import os
from pathlib import Path
from typing import BinaryIO

from darkroom_cli.problems import RefusedFileError

# of file systems that know no links, as FAT
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}


def opened_part(part: Path) -> BinaryIO:
    """Open a part to go on with: a file, no link, and nobody else's at the moment. Raises RefusedFileError."""
    try:
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        opened = os.fdopen(descriptor, "r+b")
    except OSError as error:
        raise unwritable(error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_named = os.path.samestat(os.fstat(descriptor), part.stat())
    except (BlockingIOError, FileNotFoundError):
        is_named = False
    if not is_named:
        opened.close()
        raise RefusedFileError("Another command is downloading it into this folder", code="in_use")
    return opened


def publish(part: Path, place: Path, *, may_replace: bool) -> None:
    """Give a whole file its name, which nobody else has taken meanwhile. Raises RefusedFileError."""
    try:
        # a power cut later on leaves no name without its bytes
        with part.open("rb") as whole:
            os.fsync(whole.fileno())
        if may_replace:
            part.replace(place)
            return
        try:
            # unlike a renaming, a link replaces nothing
            os.link(part, place)
        except OSError as error:
            if error.errno not in _NO_LINKS or os.path.lexists(place):
                raise
            part.rename(place)
        else:
            part.unlink()
    except FileExistsError as error:
        raise RefusedFileError(f"{place.name} has appeared meanwhile", code="taken") from error
    except OSError as error:
        raise unwritable(error) from error


def write(part: BinaryIO, block: bytes) -> None:
    """Write to a part. Raises RefusedFileError."""
    try:
        part.write(block)
    except OSError as error:
        raise unwritable(error) from error


def unwritable(error: OSError) -> RefusedFileError:
    """Say why a file cannot be written."""
    return RefusedFileError(f"It cannot be written: {error.strerror or error}", code="unwritable")


def hash_of(path: Path) -> str:
    """Give the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
