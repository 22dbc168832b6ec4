"""The names of the stores, and the keys of what lies in them."""

import uuid

ORIGINALS = "originals"
RENDITIONS = "renditions"


def original_key(*, library_id: uuid.UUID, photo_id: uuid.UUID) -> str:
    """Give the key of an original. A photo's id is never used again, so neither is its key."""
    return f"{library_id}/{photo_id}"


def derived_prefix(*, library_id: uuid.UUID, photo_id: uuid.UUID) -> str:
    """Give the prefix that all derived objects of a photo share."""
    return f"{library_id}/{photo_id}/"


def photo_of_prefix(prefix: str) -> uuid.UUID:
    """Give the photo whose derived objects share this prefix; ValueError if `derived_prefix` did not make it."""
    library_id, photo_id, rest = prefix.split("/")
    if rest or derived_prefix(library_id=uuid.UUID(library_id), photo_id=uuid.UUID(photo_id)) != prefix:
        raise ValueError(f"{prefix!r} is not the prefix of a photo's derived objects")
    return uuid.UUID(photo_id)


def rendition_key(*, library_id: uuid.UUID, photo_id: uuid.UUID, kind: str, version: str) -> str:
    """Give the key of a rendition: a pure function, so making it twice writes the same object twice."""
    return f"{derived_prefix(library_id=library_id, photo_id=photo_id)}{kind}.{version}.jpg"


def chip_key(*, library_id: uuid.UUID, photo_id: uuid.UUID, version: str, position: str) -> str:
    """Give the key of a face chip; `position` names the face's place in the photo."""
    return f"{derived_prefix(library_id=library_id, photo_id=photo_id)}face.{version}.{position}.jpg"


def export_key(*, library_id: uuid.UUID, export_id: uuid.UUID, number: int) -> str:
    """Give a key for a file of an export: another one each time, so that who was given up overwrites nothing."""
    return f"{library_id}/exports/{export_id}-{number}-{uuid.uuid4().hex}.zip"
