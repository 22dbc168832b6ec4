"""Originals: stored once, under a key never used twice, with the row that owns them."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import BinaryIO
from uuid import UUID

from django.conf import settings
from django.core.files.base import File
from django.db import IntegrityError, connection, transaction
from uuid_utils.compat import uuid7

from accounts.models import AuditAction, Library, User
from accounts.problems import NotFoundError
from accounts.services import audit
from photos import storage
from photos.models import ObjectSweep, Photo
from photos.services import object_sweeps, quotas

HASH_CHUNK_BYTES = 1024 * 1024
FILENAME_MAX_LENGTH = 255


@dataclass(frozen=True, slots=True)
class OriginalFacts:
    """What is known of a file before its pixels are decoded. `width` and `height` are upright, in pixels."""

    sha256: str
    byte_size: int
    image_format: str
    mime_type: str
    width: int
    height: int


def hash_file(file: BinaryIO) -> tuple[str, int]:
    """Give the SHA-256 (hex) and the size in bytes of a file, read in chunks from its start; rewinds it."""
    file.seek(0)
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(HASH_CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
    file.seek(0)
    return digest.hexdigest(), size


def find_same_bytes(*, library: Library, sha256: str) -> Photo | None:
    """Find the photo of `library` that has these bytes, also in the trash."""
    return Photo.objects.filter(library=library, sha256=sha256).first()


def clean_filename(name: str) -> str:
    """Make a stranger's file name safe to keep as metadata: its last part, without control characters, bounded."""
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    printable = "".join(character for character in base if character.isprintable())
    return printable.strip()[-FILENAME_MAX_LENGTH:]


class UploadSweptError(TimeoutError):
    """Storing the bytes took so long that they were given up and deleted; storing them again is right."""


def store(*, library: Library, file: BinaryIO, facts: OriginalFacts) -> Photo:
    """Put the bytes under a fresh key and give an unsaved photo that names them.

    The object is there before the row, and the date of its sweep is committed before the object: a crash in between
    leaves bytes that go by themselves after UPLOAD_SWEEP_SECONDS, never a row without bytes. Call it outside of any
    transaction, or the date is no sooner there than the row.
    """
    photo = _unsaved(library, facts)
    photo.storage_alias = storage.ORIGINALS
    photo.storage_key = storage.original_key(library_id=library.pk, photo_id=photo.pk)
    _date_sweep(photo.storage_key)
    file.seek(0)
    storage.write_object(alias=photo.storage_alias, key=photo.storage_key, file=File(file))
    return photo


def refer(*, library: Library, facts: OriginalFacts, source: str, path: str) -> Photo:
    """Give an unsaved photo that names a file where it lies, below a source. Nothing is stored."""
    photo = _unsaved(library, facts)
    photo.storage_alias = storage.source_alias(source)
    photo.storage_key = storage.reference_key(photo_id=photo.pk, path=path)
    return photo


def put_back(*, photo: Photo, file: BinaryIO) -> bool:
    """Store the bytes of a photo again whose object is gone or has another size; False where it is as it should be.

    `file` has the photo's SHA-256. Who deletes the photo for good waits, or was first: then nothing is stored. One that
    was referenced is ours from then on: nothing is put back into a source. Raises UploadSweptError as `save_once` does.
    """
    if _is_whole(photo):
        return False
    is_referenced = storage.is_source(photo.storage_alias)
    alias, key = photo.storage_alias, photo.storage_key
    if is_referenced:
        alias, key = storage.ORIGINALS, storage.original_key(library_id=photo.library_id, photo_id=photo.pk)
        _date_sweep(key)
    with transaction.atomic():
        if not Photo.objects.select_for_update(no_key=True).filter(pk=photo.pk).values_list("pk"):
            return False
        file.seek(0)
        storage.write_object(alias=alias, key=key, file=File(file))
        if is_referenced:
            Photo.objects.filter(pk=photo.pk).update(storage_alias=alias, storage_key=key)
            _call_off_sweep(key)
    return True


def discard(photo: Photo) -> None:
    """Remove the bytes of a photo whose row was not saved; a file that it refers to stays as it is."""
    if storage.is_source(photo.storage_alias):
        return
    storage.delete_objects(alias=photo.storage_alias, keys=[photo.storage_key])
    object_sweeps.cancel(alias=photo.storage_alias, prefix=photo.storage_key)


def save_once(*, photo: Photo, uploader: User | None, filename: str) -> bool:
    """Save the row of a stored original; False if a racing upload of the same bytes was first.

    Raises UploadSweptError where the bytes were given up meanwhile, NotFoundError where the library is being erased,
    RefusedFileError where the photo is beyond a quota; nothing may be committed then. An uploader who is gone is kept
    as nobody.
    """
    photo.original_filename = clean_filename(filename)
    try:
        with transaction.atomic():
            _keep_library(photo.library_id)
            photo.uploader = uploader if uploader and _is_kept(uploader) else None
            photo.full_clean(validate_unique=False, validate_constraints=False)
            photo.save(force_insert=True)
            quotas.require_within(library_id=photo.library_id, uploader_id=photo.uploader_id, byte_size=photo.byte_size)
            if not storage.is_source(photo.storage_alias):
                _call_off_sweep(photo.storage_key)
    except IntegrityError as error:
        # asked by its name: whoever was first may be deleted again by now
        if error.__cause__.diag.constraint_name != "photo_library_sha256_unique":
            raise
        return False
    return True


def _is_whole(photo: Photo) -> bool:
    try:
        found = storage.find_object(alias=photo.storage_alias, key=photo.storage_key)
    except storage.SourceUnavailableError:
        # whoever has sent the bytes need not wait for somebody else's disk
        return False
    return found is not None and found.size == photo.byte_size


def _unsaved(library: Library, facts: OriginalFacts) -> Photo:
    return Photo(
        id=uuid7(),
        library=library,
        sha256=facts.sha256,
        byte_size=facts.byte_size,
        image_format=facts.image_format,
        mime_type=facts.mime_type,
        width=facts.width,
        height=facts.height,
    )


def _date_sweep(key: str) -> None:
    """Commit the date at which an original goes by itself, unless a row names it by then."""
    limit = timedelta(seconds=settings.UPLOAD_SWEEP_SECONDS)
    object_sweeps.request(
        alias=storage.ORIGINALS,
        prefix=key,
        reason=ObjectSweep.Reason.UPLOAD,
        due_in=limit,
        final_in=2 * limit,
    )


def _call_off_sweep(key: str) -> None:
    if not object_sweeps.cancel(alias=storage.ORIGINALS, prefix=key):
        raise UploadSweptError("The bytes came in too slowly and were deleted again.")


def _keep_library(library_id: UUID) -> None:
    """Keep a library from being deleted until this transaction has ended; raises NotFoundError where it is to go."""
    with connection.cursor() as cursor:
        # the weakest lock that a deletion respects
        query = "SELECT FROM accounts_library WHERE id = %s AND erasure_requested_at IS NULL FOR KEY SHARE"
        cursor.execute(query, [library_id])
        if cursor.fetchone() is None:
            raise NotFoundError("The library is gone, or is being erased.")


def _is_kept(user: User) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM accounts_user WHERE id = %s FOR KEY SHARE", [user.pk])
        return cursor.fetchone() is not None


def note_download(*, photo: Photo, by: User) -> None:
    """Write into the trail that somebody took an original."""
    audit.record(action=AuditAction.ORIGINAL_DOWNLOADED, actor=by, library_id=photo.library_id, subject=photo)
