"""Receiving a file: hashed while it comes in, never whole in memory, and stopped as soon as it is too large."""

import hashlib
import tempfile
from contextlib import closing
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from photos.problems import RefusedFileError

FILE_FIELD = "file"


class ReceivedFile(UploadedFile):
    """A received file with its `digest`: SHA-256 in hex, and size in bytes."""

    def __init__(self, *args: Any, sha256: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.digest = (sha256, self.size)


class HashingUploadHandler(FileUploadHandler):
    """Writes the one file of an upload to a temporary file without a name, and hashes it on the way.

    Nothing has to be removed: the file is gone when it is closed, also if the process is killed. Files in other
    fields are read and dropped. Raises RefusedFileError (`too_large`, `too_many_files`, `incomplete_upload`).
    """

    chunk_size = 256 * 1024

    @property
    def max_bytes(self) -> int:
        """How large the file may be."""
        return settings.UPLOAD_MAX_BYTES

    def __init__(self, request: HttpRequest | None = None) -> None:
        super().__init__(request)
        self._spool: BinaryIO | None = None
        self._digest = hashlib.sha256()
        self._size = 0

    def handle_raw_input(self, _input_data: Any, _meta: Any, content_length: int, *_args: Any) -> None:
        """Refuse a body that is too large before any of it is read."""
        if content_length > self.max_bytes + settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise _too_large(self.max_bytes)

    def new_file(self, field_name: str, *args: Any, **kwargs: Any) -> None:
        """Begin a file."""
        super().new_file(field_name, *args, **kwargs)
        if field_name != FILE_FIELD:
            return
        if self._spool is not None:
            raise RefusedFileError("too_many_files", "An upload takes one file.")
        spool = tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR)  # noqa: SIM115 - `close` ends it
        self._spool = cast("BinaryIO", spool)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:  # noqa: ARG002 - Django's signature
        """Take the next bytes of a file."""
        if self.field_name != FILE_FIELD or self._spool is None:
            return
        self._size += len(raw_data)
        if self._size > self.max_bytes:
            raise _too_large(self.max_bytes)
        self._digest.update(raw_data)
        self._spool.write(raw_data)

    def file_complete(self, file_size: int) -> ReceivedFile | None:  # noqa: ARG002 - Django's signature
        """Give the file that has come in, from its start."""
        if self.field_name != FILE_FIELD or self._spool is None:
            return None
        self._spool.seek(0)
        return ReceivedFile(self._spool, self.file_name, self.content_type, self._size, sha256=self._digest.hexdigest())

    def upload_interrupted(self) -> None:
        """Refuse a body that ended within a file."""
        raise RefusedFileError("incomplete_upload", "The upload ended before the file was complete.")

    def close(self) -> None:
        """Let go of the temporary file."""
        if self._spool is not None:
            self._spool.close()


class StreamedUploadMixin:
    """Makes a view receive its file by HashingUploadHandler, and lets go of it whatever happens.

    The handler is set before the credentials are read: for a session Django looks for its CSRF token in the form, and
    would receive the file by its own handlers, without our limit.
    """

    upload_handler_class = HashingUploadHandler

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer a request."""
        with closing(self.upload_handler_class(request)) as handler:
            request.upload_handlers = [handler]
            return super().dispatch(request, *args, **kwargs)  # type: ignore[misc]


def require_length(request: HttpRequest) -> None:
    """Raise RefusedFileError (`length_required`) for a body in chunks: Django reads nothing of it."""
    if not request.META.get("CONTENT_LENGTH"):
        raise RefusedFileError("length_required", "Send the body with a Content-Length, not in chunks.")


def _too_large(limit: int) -> RefusedFileError:
    return RefusedFileError("too_large", f"At most {limit:,} bytes are allowed.", limit=limit)
