"""Stored bytes against the rows that name them: every byte, or the stores' listings where bytes are not read."""

import errno
import hashlib
import io
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from photos import storage
from photos.services.originals import hash_file
from processing.engines import imaging
from processing.engines.errors import EngineError
from processing.failures import classify
from processing.prove.batches import Batch, FaceRow, PhotoRow, RenditionRow
from processing.prove.findings import Finding
from processing.prove.listing import Listing
from processing.prove.situation import Situation
from processing.prove.tally import Tally

TRIES = 3
SECONDS_BETWEEN_TRIES = 2.0


class StoreUnavailableError(Exception):
    """A store does not answer, so nothing can be proved of what lies in it."""


@dataclass(frozen=True, slots=True)
class Named:
    """An object that a row names, and what it is called in a finding."""

    photo: PhotoRow
    row: PhotoRow | RenditionRow | FaceRow
    alias: str
    key: str
    what: str

    @property
    def stage(self) -> str:
        """The stage that makes it; nothing for an original."""
        return {"rendition": "renditions", "chip": "face_detection"}.get(self.what, "")

    @property
    def size(self) -> int | None:
        """Its size by its row; none where no row says it."""
        return getattr(self.row, "byte_size", None)

    @property
    def name(self) -> str:
        """What a person reads."""
        if isinstance(self.row, RenditionRow):
            return self.row.kind
        return f"chip of face {self.row.pk}" if isinstance(self.row, FaceRow) else "original"


class Answer(NamedTuple):
    """What is wrong with an object: `missing`, `wrong`, `unreadable`, or nothing; and how many bytes were read."""

    problem: str
    detail: str
    bytes_read: int = 0


Look = Callable[[Sequence[Named]], Iterable[Answer]]


def named_by(batch: Batch) -> Iterator[Named]:
    """Give every object that the rows of these photos name, each key once."""
    for photo in batch.photos:
        yield Named(photo, photo, photo.alias, photo.key, "original")
        seen = set()
        for rendition in batch.renditions[photo.pk]:
            yield Named(photo, rendition, storage.RENDITIONS, rendition.key, "rendition")
        # faces that should not be there are leaked, whatever their chips are
        for face in batch.faces[photo.pk] if photo.with_faces else ():
            if face.chip_key not in seen:
                seen.add(face.chip_key)
                yield Named(photo, face, storage.RENDITIONS, face.chip_key, "chip")


def by_listing(listing: Listing, readers: Executor) -> Look:
    """Look at no object of ours: presence and size are what the stores have listed. Sources are not listed."""
    measure = by_measuring(readers)

    def look(wanted: Sequence[Named]) -> Iterator[Answer]:
        keys: dict[str, list[str]] = defaultdict(list)
        for one in wanted:
            keys[one.alias].append(one.key)
        listed = {alias: listing.sizes(alias, some) for alias, some in keys.items()}
        measured = iter(measure([one for one in wanted if storage.is_source(one.alias)]))
        for one in wanted:
            if storage.is_source(one.alias):
                yield next(measured)
            else:
                yield Answer(*_compare(one, listed[one.alias].get(one.key)))

    return look


def by_measuring(readers: Executor) -> Look:
    """Ask the stores for presence and size, object by object."""
    return lambda wanted: readers.map(partial(_answer, look=_measure), wanted)


def by_reading(readers: Executor) -> Look:
    """Read every object from end to end."""
    return lambda wanted: readers.map(partial(_answer, look=_read), wanted)


def examine(batch: Batch, situation: Situation, tally: Tally, *, look: Look) -> Iterator[Finding]:
    """Find objects that are missing or are not what their rows say. Raises StoreUnavailableError."""
    wanted = list(named_by(batch))
    for one, (problem, detail, size) in zip(wanted, look(wanted), strict=True):
        tally.bytes_read += size
        if problem:
            code = "chip_missing" if (one.what, problem) == ("chip", "missing") else f"{one.what}_{problem}"
            photo = str(one.photo.pk)
            yield Finding(
                "photos",
                photo,
                code,
                f"{one.name}: {detail}",
                photo=photo,
                stage=one.stage,
                item=f"{one.alias}/{one.key}",
                ripe_at=batch.changes_until(one.photo.pk, now=situation.now),
            )


def _compare(one: Named, size: int | None) -> tuple[str, str]:
    """Compare an object as it is listed with its row; gives (problem, detail), empty if there is none."""
    if size is None:
        return "missing", f"not in the store {one.alias!r} under {one.key}"
    if one.size is not None and size != one.size:
        return "wrong", f"{size:,} bytes, and its row says {one.size:,}"
    return "", ""


def _answer(one: Named, *, look: Callable[[Named], tuple[str, int]]) -> Answer:
    """Look at one object, more than once where the store is in trouble."""
    for tries_left in reversed(range(TRIES)):
        try:
            detail, size = look(one)
        except FileNotFoundError:
            return Answer(*_compare(one, None))
        except (BotoCoreError, ClientError, OSError) as error:
            if _is_of_one_object(error) and _gives_objects(one.alias):
                problem = "unreadable" if one.what == "original" else "wrong"
                return Answer(problem, f"not readable: {getattr(error, 'strerror', None) or error}")
            if not tries_left:
                raise StoreUnavailableError(f"The store {one.alias!r} does not answer: {error}") from error
            time.sleep(SECONDS_BETWEEN_TRIES)
        else:
            return Answer("wrong" if detail else "", detail, size)
    raise AssertionError  # the last try returns or raises


def _is_of_one_object(error: Exception) -> bool:
    """Tell whether an error may be that of one object, in a store that otherwise works."""
    if isinstance(error, ClientError):
        return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == HTTPStatus.FORBIDDEN
    if not isinstance(error, OSError):
        return False
    # its permissions, or a bad sector; anything else that is the host's trouble is every object's
    return error.errno in {errno.EACCES, errno.EPERM, errno.EIO} or classify(error).code != "storage_unavailable"


def _gives_objects(alias: str) -> bool:
    """Tell whether a store lists anything: one that is gone may fail with any error."""
    try:
        if storage.is_source(alias):
            return not storage.is_store_empty(alias=alias)
        next(storage.list_objects(alias=alias), None)
        return not storage.is_store_empty(alias=alias)
    except (BotoCoreError, ClientError, OSError):
        return False


def _measure(one: Named) -> tuple[str, int]:
    """Compare an object's size with its row; gives (what is wrong, bytes read)."""
    with storage.open_object(alias=one.alias, key=one.key) as file:
        return _compare(one, file.seek(0, os.SEEK_END))[1], 0


def _read(one: Named) -> tuple[str, int]:
    """Compare an object's bytes with its row; gives (what is wrong, bytes read)."""
    return _read_original(one) if one.what == "original" else _read_derived(one)


def _read_original(one: Named) -> tuple[str, int]:
    with storage.open_whole_object(alias=one.alias, key=one.key) as file:
        digest, size = hash_file(file)
    return _differs(digest, one.photo.sha256), size


def _read_derived(one: Named) -> tuple[str, int]:
    data = storage.read_object(alias=one.alias, key=one.key)
    digest = hashlib.sha256(data).hexdigest()
    if isinstance(one.row, RenditionRow):
        return _differs(digest, one.row.sha256) or _wrong_rendition(one.row, data), len(data)
    # nothing: it was stored before hashes of chips were kept
    wrong = one.row.chip_sha256 and _differs(digest, one.row.chip_sha256)
    return wrong or _wrong_chip(one.row, data), len(data)


def _differs(found: str, expected: str) -> str:
    return "" if found == expected else f"SHA-256 {found[:12]}…, and its row says {expected[:12]}…"


def _wrong_rendition(row: RenditionRow, data: bytes) -> str:
    if len(data) != row.byte_size:
        return f"{len(data):,} bytes, and its row says {row.byte_size:,}"
    try:
        header = imaging.read_header(io.BytesIO(data), max_pixels=row.width * row.height)
    except EngineError as error:
        return f"not readable: {error}"
    return _wrong_size((header.width, header.height), (row.width, row.height))


def _wrong_chip(row: FaceRow, data: bytes) -> str:
    try:
        height, width = imaging.decode_rgb(data).shape[:2]
    except EngineError as error:
        return f"not readable: {error}"
    return _wrong_size((width, height), (row.chip_width, row.chip_height))


def _wrong_size(found: tuple[int, int], expected: tuple[int, int]) -> str:
    if found == expected:
        return ""
    return f"{found[0]} x {found[1]} pixels, and its row says {expected[0]} x {expected[1]}"
