"""The end of an upload: all bytes are there, and they become a photo or are refused. May be repeated by anybody.

What became of it is in the row: together with the photo, in its transaction. So an upload whose server died between the
last byte and the photo is finished by whoever asks next, or by the sweep; and one that was finished is never again.
"""

import hashlib
import logging
import time
from uuid import UUID

from django.db import IntegrityError

from accounts.problems import NotFoundError
from photos.models import Photo
from photos.problems import RefusedFileError
from photos.storage import uploads as stored_uploads
from photos.storage.uploads import BucketParts, Parts, PartsLostError
from processing import ingest
from processing.models import Upload, UploadState, UploadWay
from processing.problems import UploadEndedError, UploadIncompleteError, UploadLockedError
from processing.services.uploads import ending, leases
from processing.services.uploads.leases import Lease

logger = logging.getLogger(__name__)

HASH_CHUNK_BYTES = 4 * 1024 * 1024
# somebody deletes the photo of the same bytes for good, at this moment
ATTEMPTS = 3


def is_over(upload: Upload) -> bool:
    """Tell whether it is known what became of an upload."""
    return upload.state in {UploadState.COMPLETE, UploadState.REFUSED}


def raise_refusal(upload: Upload) -> None:
    """Raise what an upload was refused with, if it was."""
    if upload.state == UploadState.REFUSED:
        raise RefusedFileError(upload.error_code, upload.error_detail, **upload.error_extra)


def finish(*, upload_id: UUID) -> Upload:
    """Take the file of an upload in, unless that was done; gives the upload with its photo.

    Raises RefusedFileError with what it is refused for, also if it was before; UploadIncompleteError while bytes are
    missing; UploadLockedError while somebody else is at it; UploadEndedError. Whatever else is raised, trouble of the
    store or the database, leaves the upload as it is: it is tried again.
    """
    upload = ending.existing(upload_id)
    if not is_over(upload):
        try:
            lease, upload = leases.take(upload_id=upload_id, duration=leases.FINISHING)
        except UploadLockedError:
            upload = ending.existing(upload_id)
            if not is_over(upload):
                raise
        else:
            return finish_held(upload, lease)
    raise_refusal(upload)
    return upload


def finish_held(upload: Upload, lease: Lease) -> Upload:
    """Take the file of an upload in that the caller holds, and let go of it; raises as `finish` does."""
    try:
        _finish(upload, lease)
    except UploadLockedError:
        # somebody thought that this one had died, and may have done it
        upload = ending.existing(upload.pk)
        if not is_over(upload):
            raise
    finally:
        leases.release(lease)
    ending.clear_bytes(upload_id=upload.pk)
    upload = ending.existing(upload.pk)
    raise_refusal(upload)
    return upload


def _finish(upload: Upload, lease: Lease) -> None:
    parts = stored_uploads.parts_of(upload_id=upload.pk, length=upload.length, state=upload.stored)
    try:
        if upload.way == UploadWay.DIRECT:
            _seal(upload, lease, parts)
        if not upload.has_all_bytes:
            raise UploadIncompleteError("Bytes of the file are missing.", offset=upload.offset)
        parts.join()
        leases.keep(lease, stored=parts.state)
        _take_in(upload, lease, parts)
    except RefusedFileError as error:
        refused = {"error_code": error.code, "error_detail": error.detail, "error_extra": error.extra}
        leases.finish(lease, state=UploadState.REFUSED, **refused)
    except PartsLostError as error:
        raise leases.lose(lease) from error
    except NotFoundError as error:
        # its library is being erased: the upload goes with it
        raise UploadEndedError(leases.ENDED) from error


def _seal(upload: Upload, lease: Lease, parts: Parts) -> None:
    """Take over what a client has sent to the bucket: from here on it cannot be changed, and its size is known."""
    if upload.has_all_bytes or not isinstance(parts, BucketParts):
        return
    size = parts.posted_bytes()
    if size is None:
        raise UploadIncompleteError("The file is not in the bucket yet.", offset=0)
    ingest.check_size(size)
    parts.seal()
    upload.length = upload.offset = parts.sealed_bytes()
    leases.keep(lease, length=upload.length, offset=upload.length, stored=parts.state)


def _take_in(upload: Upload, lease: Lease, parts: Parts) -> None:
    digest = _digest(parts, lease)

    def note(photo: Photo) -> None:
        leases.finish(lease, state=UploadState.COMPLETE, photo=photo)

    with parts.open() as file:
        for attempts_left in reversed(range(ATTEMPTS)):
            taken = ingest.take_in(
                library=upload.library,
                file=file,
                filename=upload.filename,
                uploader=upload.owner,
                digest=digest,
                place=parts.place,
                note=note,
            )
            if taken.is_new:
                return
            try:
                note(taken.photo)
            except IntegrityError:
                # it was deleted for good since it was found
                if not attempts_left:
                    raise
            else:
                return


def _digest(parts: Parts, lease: Lease) -> tuple[str, int]:
    """Give SHA-256 (hex) and size in bytes of what lies in the store, read once from its start to its end.

    It is not reckoned while the bytes come in: the state of a hash that has begun cannot be taken from one process to
    another, so that whatever was cut would have to be read again all the same; and what is read here is what is kept,
    whoever wrote it. A disk gives it out of the memory that it was just written through; a bucket, once over the
    network inside the data centre.
    """
    digest, size, kept_at = hashlib.sha256(), 0, time.monotonic()
    with parts.open() as file:
        while chunk := file.read(HASH_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            if time.monotonic() - kept_at > leases.FINISHING.total_seconds() / 3:
                leases.keep(lease)
                kept_at = time.monotonic()
    return digest.hexdigest(), size
