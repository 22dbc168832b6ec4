"""Bytes of an upload that come in: written, made durable, and only then counted."""

import hashlib
import time
from base64 import b64encode
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from uuid import UUID

from photos.storage import uploads as stored_uploads
from photos.storage.uploads import Parts, PartsLostError
from processing.models import Upload
from processing.problems import UploadEndedError, UploadLockedError, WrongChecksumError, WrongOffsetError
from processing.services.uploads import ending, finishing, leases
from processing.services.uploads.leases import Lease

# of hashlib, by the names of the protocol
ALGORITHMS = {"sha1": hashlib.sha1, "sha256": hashlib.sha256, "sha512": hashlib.sha512, "md5": hashlib.md5}


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the bytes of one request are said to hash to: an algorithm of ALGORITHMS, and the digest in base64."""

    algorithm: str
    digest: str


def receive(*, upload_id: UUID, offset: int, body: Iterable[bytes], checksum: Checksum | None = None) -> Upload:
    """Write what comes in behind `offset`, and take the file in with its last byte; gives the upload as it is then.

    What `body` gives before it ends or breaks off is kept, however little that is; with a checksum all of it or
    nothing. `body` may not give more than is missing. Raises WrongOffsetError, WrongChecksumError, UploadLockedError,
    UploadEndedError, and what `finishing.finish` does.
    """
    upload = ending.existing(upload_id)
    if finishing.is_over(upload):
        return _repeated(upload, offset)
    try:
        lease, upload = leases.take(upload_id=upload_id)
    except UploadLockedError:
        # it may have been finished just now
        upload = ending.existing(upload_id)
        if not finishing.is_over(upload):
            raise
        return _repeated(upload, offset)
    try:
        if offset != upload.offset:
            raise wrong_offset(upload)
        if not upload.has_all_bytes:
            _write(upload, lease, body, checksum)
        upload = ending.existing(upload_id)
        # without letting go in between: nobody else need take in what this client waits for
        return finishing.finish_held(upload, leases.prolong(lease)) if upload.has_all_bytes else upload
    finally:
        leases.release(lease)


def _repeated(upload: Upload, offset: int) -> Upload:
    """Answer a request once more whose answer was lost."""
    finishing.raise_refusal(upload)
    if offset != upload.offset:
        raise wrong_offset(upload)
    return upload


def _write(upload: Upload, lease: Lease, body: Iterable[bytes], checksum: Checksum | None) -> None:
    parts = stored_uploads.parts_of(upload_id=upload.pk, length=upload.length, state=upload.stored)

    def remember() -> None:
        leases.keep(lease, stored=parts.state)

    try:
        with closing(parts):
            parts.begin(offset=upload.offset, was_abandoned=lease.was_abandoned, remember=remember)
            _pour(parts, lease, body, checksum)
    except PartsLostError as error:
        raise leases.lose(lease) from error
    except UploadEndedError:
        # what was just written nobody names any more
        parts.clear()
        raise


def _pour(parts: Parts, lease: Lease, body: Iterable[bytes], checksum: Checksum | None) -> None:
    digest = ALGORITHMS[checksum.algorithm]() if checksum else None
    kept_at = time.monotonic()
    for chunk in body:
        parts.write(chunk)
        if digest is not None:
            # nothing is committed before all of it is known to be right
            digest.update(chunk)
        elif parts.is_due:
            _commit(parts, lease, whole=False)
            kept_at = time.monotonic()
        if time.monotonic() - kept_at > leases.WRITING.total_seconds() / 3:
            leases.keep(lease)
            kept_at = time.monotonic()
    if checksum is not None and b64encode(digest.digest()).decode() != checksum.digest:
        raise WrongChecksumError(f"The bytes do not have this {checksum.algorithm}. None of them was kept.")
    _commit(parts, lease, whole=True)


def _commit(parts: Parts, lease: Lease, *, whole: bool) -> None:
    """Count what is durable; should the process die in between, the client sends it again."""
    offset = parts.flush(whole=whole)
    leases.commit(lease, offset=offset, stored=parts.state)
    parts.tidy()


def wrong_offset(upload: Upload) -> WrongOffsetError:
    """Give the error that says where an upload goes on."""
    return WrongOffsetError(f"The upload goes on at byte {upload.offset:,}.", offset=upload.offset)
