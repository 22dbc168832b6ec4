"""Reading stored bytes and trusting none of them: what is read has the SHA-256 that its row says, or is not used."""

import hashlib
from typing import BinaryIO

from photos import storage
from photos.models import Photo
from photos.services.originals import hash_file


class WrongBytesError(Exception):
    """A store gave other bytes than were stored.

    `at_rest`: it gave the same wrong bytes twice, so it is the object that is wrong and not the way to it.
    """

    code = "wrong_bytes"

    def __init__(self, *, alias: str, key: str, expected: str, found: tuple[str, str]) -> None:
        self.at_rest = found[0] == found[1]
        where = "lies wrong in" if self.at_rest else "came wrong from"
        super().__init__(f"{key} {where} the store {alias!r}: SHA-256 {found[1]}, and its row says {expected}.")


def open_original(photo: Photo) -> BinaryIO:
    """Open an original, all of whose bytes have been hashed and are those that were uploaded; seekable, at its start.

    Hashing costs about a millisecond per megabyte; from a bucket the object is fetched whole, once. Raises
    WrongBytesError, and what `storage.open_object` raises.
    """
    found = []
    for _ in range(2):
        file = storage.open_whole_object(alias=photo.storage_alias, key=photo.storage_key)
        try:
            digest, _size = hash_file(file)
        except BaseException:
            file.close()
            raise
        if digest == photo.sha256:
            return file
        file.close()
        found.append(digest)
    raise WrongBytesError(
        alias=photo.storage_alias, key=photo.storage_key, expected=photo.sha256, found=(found[0], found[1])
    )


def read_derived(*, key: str, sha256: str) -> bytes:
    """Read a rendition or a face chip whole, with the hash that its row says; "" for a row that says none.

    Raises WrongBytesError, and what `storage.read_object` raises.
    """
    found = []
    for _ in range(2):
        data = storage.read_object(alias=storage.RENDITIONS, key=key)
        digest = hashlib.sha256(data).hexdigest()
        if sha256 in {"", digest}:
            return data
        found.append(digest)
    raise WrongBytesError(alias=storage.RENDITIONS, key=key, expected=sha256, found=(found[0], found[1]))
