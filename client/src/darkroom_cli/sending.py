"""Sending one file: an upload of the tus protocol, which goes on where it was cut off.

The protocol is spoken by the operations of the generated client and by no library of its own: tuspy, the one that there
is for Python, takes an answer 423 or 429 for the end, and is a second HTTP client with timeouts of its own.
"""

import base64
import io
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from darkroom_client.api.uploads import uploads_create, uploads_destroy, uploads_partial_update, uploads_retrieve
from darkroom_client.models import ResumableUpload
from darkroom_client.types import File

from darkroom_cli import folder
from darkroom_cli.connection import Connection
from darkroom_cli.folder import LocalFile, require_unchanged
from darkroom_cli.journal import Entry, Journal
from darkroom_cli.problems import ProblemError, RefusedFileError, StoppedError, UnreachableError

VERSION = "1.0.0"
# each piece is a request: one that a proxy on the way holds back is lost no further than this
PIECE_BYTES = 8 * 1024 * 1024
# an upload that is gone is begun anew so often, and no more
BEGUN_AT_MOST = 3

# is told the upload's offset, and how many bytes were sent just now
Watch = Callable[[int, int], None]


class Piece(io.RawIOBase):
    """Some bytes of a file, read where they lie. `watch` is told of each byte that goes out."""

    def __init__(self, file: io.BufferedReader, *, start: int, size: int, watch: Watch, stop: threading.Event) -> None:
        super().__init__()
        self._file, self._start, self._size = file, start, size
        self._watch, self._stop = watch, stop
        self._at = 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that its place can be set: so its length is found."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the place."""
        self._at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence] + offset
        return self._at

    def tell(self) -> int:
        """Give the place."""
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Give the next bytes. Raises StoppedError when somebody wants to stop."""
        if self._stop.is_set():
            raise StoppedError("Stopped")
        left = self._size - self._at
        try:
            self._file.seek(self._start + self._at)
            data = self._file.read(left if size < 0 else min(size, left))
        except OSError as error:
            raise folder.unreadable(error) from error
        self._at += len(data)
        self._watch(self._start + self._at, len(data))
        return data


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends files into one library."""

    connection: Connection
    journal: Journal
    library: UUID

    def send(self, file: LocalFile, sha256: str, *, watch: Watch) -> UUID:
        """Send a file; gives the id of the photo. Raises ProblemError and RefusedFileError of it, UnreachableError."""
        error: ProblemError | None = None
        for _ in range(BEGUN_AT_MOST):
            entry = self.journal.entry(sha256)
            try:
                upload = self._sent(file, sha256, entry, watch)
            except ProblemError as problem:
                if problem.code not in {"upload_ended", "not_found"} or entry.upload is None:
                    raise
                # it has expired, or its bytes are lost
                error = problem
                self.journal.forget(sha256)
                continue
            except RefusedFileError:
                self._give_up(sha256, entry)
                raise
            self.journal.forget(sha256)
            return _photo_of(upload, sha256)
        raise error or AssertionError

    def _sent(self, file: LocalFile, sha256: str, entry: Entry, watch: Watch) -> ResumableUpload:
        """Send what is missing until the upload is over, one way or the other."""
        patience = self.connection.patience()
        furthest, refusal = -1, None
        if is_new := entry.upload is None:
            self._begin(file, sha256, entry)
        while True:
            offset = 0
            # of one that has just been begun nothing is there; if it is otherwise, the first piece is told
            if not is_new:
                upload, _headers = self.connection.ask(uploads_retrieve, UUID(entry.upload))
                if upload.state in {"complete", "refused"}:
                    return upload
                if refusal is not None:
                    raise refusal
                offset = upload.offset
            is_new = False
            watch(offset, 0)
            if offset > furthest:
                furthest = offset
                patience.reset()
            try:
                self._send_pieces(file, UUID(entry.upload), offset, watch)
            except ProblemError as problem:
                if problem.is_passing or problem.code == "wrong_offset":
                    patience.pause(problem)
                elif problem.is_of_everything:
                    raise
                else:
                    # the upload remembers what it was refused for, if it is over with that
                    refusal = problem
            except UnreachableError as error:
                patience.pause(error)

    def _begin(self, file: LocalFile, sha256: str, entry: Entry) -> None:
        """Begin the upload, once: an answer that was lost is given again for the same key."""
        metadata = {"library": str(self.library), "filename": file.original_name}
        asked: dict[str, Any] = {
            "tus_resumable": VERSION,
            "upload_length": file.size,
            "upload_metadata": ",".join(f"{name} {_base64(value)}" for name, value in metadata.items()),
        }
        try:
            _, headers = self.connection.ask(uploads_create, **asked, idempotency_key=entry.idempotency_key)
        except ProblemError as problem:
            self.journal.forget(sha256)
            if problem.code == "not_found":
                problem.detail = f"There is no library {self.library}, or you may not see it"
            if problem.code != "idempotency_key_reused":
                raise
            # the same bytes have another name by now
            entry.idempotency_key = str(uuid.uuid4())
            self.journal.write(sha256, entry)
            _, headers = self.connection.ask(uploads_create, **asked, idempotency_key=entry.idempotency_key)
        entry.upload = headers["Location"].rpartition("/")[2]
        self.journal.write(sha256, entry)

    def _send_pieces(self, file: LocalFile, upload: UUID, offset: int, watch: Watch) -> None:
        """Send all that is missing, piece by piece; of an upload that lacks nothing, ask for its end."""
        try:
            opened = file.path.open("rb")
        except OSError as error:
            raise folder.unreadable(error) from error
        with opened:
            while True:
                require_unchanged(file, opened.fileno())
                size = min(PIECE_BYTES, file.size - offset)
                piece = Piece(opened, start=offset, size=size, watch=watch, stop=self.connection.stopping)
                _, headers = self.connection.ask_once(
                    uploads_partial_update,
                    upload,
                    body=File(payload=piece),
                    tus_resumable=VERSION,
                    upload_offset=offset,
                )
                offset = int(headers["Upload-Offset"])
                if offset >= file.size:
                    return

    def _give_up(self, sha256: str, entry: Entry) -> None:
        self.journal.forget(sha256)
        if entry.upload is not None:
            self.connection.ask(uploads_destroy, UUID(entry.upload), tus_resumable=VERSION)


def _photo_of(upload: ResumableUpload, sha256: str) -> UUID:
    """Give the photo that an upload has become. Raises RefusedFileError."""
    if upload.error is not None:
        raise RefusedFileError(upload.error.detail, code=upload.error.code)
    if upload.photo is None:
        raise RefusedFileError("Somebody deleted the photo while it was taken in: upload it again", code="vanished")
    if upload.photo.sha256 != sha256:
        raise RefusedFileError("What has arrived is not what was sent: upload it again", code="wrong_checksum")
    return upload.photo.id


def _base64(value: str) -> str:
    return base64.b64encode(value.encode()).decode()
