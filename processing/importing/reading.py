"""Reading one file of a source: what it is called, what is passed over, and whose fault an error is."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import PurePath
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from botocore.exceptions import ClientError
from django.conf import settings

from photos.problems import RefusedFileError
from photos.storage import WHOLE_IN_MEMORY_BYTES, ChangedWhileReadError, Fetched, FoundFile, Source, text_to_path
from processing.ingest import check_size
from processing.services.folder_import import is_something_else

VANISHED, CHANGED_WHILE_READ, UNREADABLE = "vanished", "changed_while_read", "unreadable"
# what a walk says of what cannot be opened
PROBLEMS = {
    "unreadable": "The folder cannot be read.",
    "too_deep": "The folder lies below too many others.",
    "path_too_long": "The path is longer than 1,000 bytes.",
}
# reading such a file again gives the same answer; any other refusal is tried again by the next import
FOR_GOOD = frozenset({"empty_file", "unsupported_format", "damaged"})
# its permissions, its kind, a bad sector: anything else is the host's trouble, or the source's
_OF_ONE_FILE = {errno.EACCES, errno.EPERM, errno.EIO, errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENAMETOOLONG}


def filename_of(path: str) -> str:
    """Give the last part of a path of a source, with bytes that are no text as Python writes them in file names."""
    return os.fsdecode(text_to_path(path).rpartition(b"/")[2])


def is_passed_over(found: FoundFile) -> bool:
    """Tell whether something is no photo by its name or its kind: a film, a text, a sidecar, a link."""
    if found.problem in {"link", "special"}:
        return True
    return not found.problem and is_something_else(PurePath(filename_of(found.path)))


@contextmanager
def spooled(source: Source, found: FoundFile) -> Iterator[tuple[BinaryIO, Fetched]]:
    """Read a file whole, once: what is hashed is what is looked into and stored, whoever writes to it meanwhile.

    Raises RefusedFileError where it is refused for what it is: `empty_file`, `too_large`, `vanished`, `unreadable`,
    `changed_while_read`. Any other error is not the file's.
    """
    check_size(found.size)
    with SpooledTemporaryFile(max_size=WHOLE_IN_MEMORY_BYTES, dir=settings.FILE_UPLOAD_TEMP_DIR) as file:
        into = cast("BinaryIO", file)
        fetched = _fetch(source, found.path, into)
        check_size(fetched.size)
        yield into, fetched


def is_of_one_file(error: BaseException) -> bool:
    """Tell whether an error is that of one file, in a source that otherwise works."""
    if isinstance(error, ClientError):
        return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == HTTPStatus.FORBIDDEN
    return isinstance(error, OSError) and error.errno in _OF_ONE_FILE


def _fetch(source: Source, path: str, into: BinaryIO) -> Fetched:
    try:
        return source.fetch(path, into, limit=settings.UPLOAD_MAX_BYTES)
    except FileNotFoundError as error:
        raise RefusedFileError(VANISHED, "It was listed, and is not there any more.") from error
    except ChangedWhileReadError as error:
        raise RefusedFileError(CHANGED_WHILE_READ, "Somebody wrote to it while it was read.") from error
    except Exception as error:
        if not is_of_one_file(error):
            raise
        raise RefusedFileError(UNREADABLE, getattr(error, "strerror", None) or str(error)) from error
