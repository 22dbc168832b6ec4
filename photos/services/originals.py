"""Originals: stored once, under a key never used twice, with the row that owns them."""

import hashlib
from dataclasses import dataclass
from typing import BinaryIO

from django.core.files.base import File
from django.db import IntegrityError, transaction
from uuid_utils.compat import uuid7

from accounts.models import Library, User
from photos import storage
from photos.models import Photo

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


def store(*, library: Library, file: BinaryIO, facts: OriginalFacts) -> Photo:
    """Put the bytes under a fresh key and give an unsaved photo that names them.

    The object is there before the row: a crash in between leaves bytes without a row, never a row without bytes.
    """
    photo = Photo(
        id=uuid7(),
        library=library,
        sha256=facts.sha256,
        byte_size=facts.byte_size,
        image_format=facts.image_format,
        mime_type=facts.mime_type,
        width=facts.width,
        height=facts.height,
        storage_alias=storage.ORIGINALS,
    )
    photo.storage_key = storage.original_key(library_id=library.pk, photo_id=photo.pk)
    file.seek(0)
    storage.write_object(alias=photo.storage_alias, key=photo.storage_key, file=File(file))
    return photo


def discard(photo: Photo) -> None:
    """Remove the bytes of a photo whose row was not saved."""
    storage.delete_objects(alias=photo.storage_alias, keys=[photo.storage_key])


def save_once(*, photo: Photo, uploader: User | None, filename: str) -> bool:
    """Save the row of a stored original; False if a racing upload of the same bytes was first."""
    photo.uploader = uploader
    photo.original_filename = clean_filename(filename)
    try:
        with transaction.atomic():
            photo.full_clean(validate_unique=False, validate_constraints=False)
            photo.save(force_insert=True)
    except IntegrityError:
        if find_same_bytes(library=photo.library, sha256=photo.sha256) is None:
            raise
        return False
    return True


@transaction.atomic
def restore_if_trashed(photo: Photo) -> bool:
    """Take a photo out of the trash; False if it was not there."""
    restored = Photo.objects.filter(pk=photo.pk, trashed_at__isnull=False).update(trashed_at=None)
    photo.trashed_at = None
    return bool(restored)
