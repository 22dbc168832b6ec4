"""Taking files in: header, bytes, row and runs. The upload and the import call the same service."""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from django.conf import settings
from django.db import transaction

from accounts.models import Library, User
from accounts.problems import DomainError
from photos.models import Event, EventKind, Photo
from photos.problems import RefusedFileError
from photos.services import events, originals, quotas
from processing.engines import imaging
from processing.engines.errors import EngineError
from processing.metrics import UPLOAD_SECONDS
from processing.models.ledger import Lane
from processing.pipeline.planning import lock_plan_for_reading, plan
from processing.services import trash
from processing.states import PhotoState

logger = logging.getLogger(__name__)

# rare races, of which each takes another try: with an upload of the same bytes, a deletion, a sweep
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of a file: a new photo, or the one that has these bytes already."""

    photo: Photo
    is_new: bool


@dataclass(frozen=True, slots=True)
class Referenced:
    """Where a file lies that is not copied: the name of its source, and its path there."""

    source: str
    path: str


def take_in(
    *,
    library: Library,
    file: BinaryIO,
    filename: str,
    uploader: User | None = None,
    lane: Lane = Lane.UPLOAD,
    digest: tuple[str, int] | None = None,
    announce: bool = True,
    referenced: Referenced | None = None,
    note: Callable[[Photo], None] | None = None,
) -> Ingested:
    """Take a file into a library. Reads headers only, decodes nothing, and never holds the file in memory.

    `file` is binary and seekable; `digest` is its (SHA-256 in hex, size in bytes) where somebody hashed it on the way
    already. The photo and its runs are one transaction, and the bytes are stored before it commits. With `announce`
    off the caller rings for the workers, for many photos at once. With `referenced` the bytes stay where they are and
    are not stored. `note` writes what else is to be there with a new photo, in its transaction; a DomainError of it
    takes the photo with it.

    Raises RefusedFileError (`empty_file`, `too_large`, `unsupported_format`, `damaged`, `too_many_pixels`,
    `quota_exceeded`); then nothing was stored. Raises NotFoundError where the library is being erased. Raises
    UploadSweptError, the trouble of the store, where it took too long to store the bytes.

    The same bytes again give the existing photo, out of the trash if it lay there, with its original put back if that
    was lost.
    """
    started = time.monotonic()
    # before it is read: a file may be endless
    check_size(digest[1] if digest else file.seek(0, os.SEEK_END))
    sha256, byte_size = digest or originals.hash_file(file)
    # a file that grows while it is read
    check_size(byte_size)
    facts = None
    for _ in range(ATTEMPTS):
        existing = _existing(library, sha256, lane=lane, announce=announce)
        if existing is not None:
            # whoever sends them takes the answer for "stored"
            if originals.put_back(photo=existing, file=file):
                logger.warning("the original of photo %s was lost, and is there again", existing.pk)
            return _ingested(existing, is_new=False, started=started)
        facts = facts or _read_facts(file, sha256=sha256, byte_size=byte_size)
        quotas.require_room(library_id=library.pk, uploader_id=uploader and uploader.pk, byte_size=byte_size)
        if referenced is None:
            photo = originals.store(library=library, file=file, facts=facts)
        else:
            photo = originals.refer(library=library, facts=facts, source=referenced.source, path=referenced.path)
        if _save(photo, uploader=uploader, filename=filename, lane=lane, announce=announce, note=note):
            return _ingested(photo, is_new=True, started=started)
    raise originals.UploadSweptError("The same bytes are being uploaded and deleted all the time. Try again.")


def _ingested(photo: Photo, *, is_new: bool, started: float) -> Ingested:
    UPLOAD_SECONDS.labels("new" if is_new else "duplicate").observe(time.monotonic() - started)
    return Ingested(photo=photo, is_new=is_new)


def _existing(library: Library, sha256: str, *, lane: int, announce: bool) -> Photo | None:
    """Give the photo of these bytes, out of the trash; none where there is none, or it is being deleted for good."""
    photo = originals.find_same_bytes(library=library, sha256=sha256)
    if photo is None or photo.trashed_at is None:
        return photo
    # waits for a deletion under way; one that comes later sees that the photo is back
    trash.restore(photo_ids=[photo.pk], lane=lane, announce=announce)
    return Photo.objects.present().filter(pk=photo.pk).first()


def _save(
    photo: Photo,
    *,
    uploader: User | None,
    filename: str,
    lane: int,
    announce: bool,
    note: Callable[[Photo], None] | None,
) -> bool:
    """Save a stored photo with its runs; False, and nothing of it is left, where it has to be stored anew or is there.

    Any other error leaves the bytes: the commit may have happened although its answer was lost.
    """
    try:
        with transaction.atomic():
            # before the library: whoever erases one holds the plan when it reaches for the library
            lock_plan_for_reading()
            is_new = originals.save_once(photo=photo, uploader=uploader, filename=filename)
            if is_new:
                plan([photo.pk], lane=lane, announce=announce)
                _tell(photo)
                if note is not None:
                    note(photo)
    except originals.UploadSweptError:
        logger.warning("the bytes of %s were given up while they were stored", photo.storage_key)
        is_new = False
    except DomainError:
        # refused by those who were first, or by `note`: the quota is used up, or the library is being erased
        originals.discard(photo)
        raise
    if not is_new:
        originals.discard(photo)
    return is_new


def _tell(photo: Photo) -> None:
    payload = {"state": PhotoState.PENDING.value}
    added = Event(kind=EventKind.PHOTO_ADDED, library_id=photo.library_id, photo_id=photo.pk, payload=payload)
    events.record(events=[added])


def check_size(byte_size: int) -> None:
    """Raise RefusedFileError (`empty_file`, `too_large`) for a size that no file may have."""
    if byte_size == 0:
        raise RefusedFileError("empty_file", "The file is empty.")
    if byte_size > settings.UPLOAD_MAX_BYTES:
        raise RefusedFileError(
            "too_large",
            f"The file has {byte_size:,} bytes; at most {settings.UPLOAD_MAX_BYTES:,} are allowed.",
            limit=settings.UPLOAD_MAX_BYTES,
        )


def _read_facts(file: BinaryIO, *, sha256: str, byte_size: int) -> originals.OriginalFacts:
    file.seek(0)
    try:
        header = imaging.read_header(file, max_pixels=settings.IMAGE_MAX_PIXELS)
    except EngineError as error:
        raise RefusedFileError(error.code, str(error)) from error
    return originals.OriginalFacts(
        sha256=sha256,
        byte_size=byte_size,
        image_format=header.format,
        mime_type=header.mime_type,
        width=header.width,
        height=header.height,
    )
