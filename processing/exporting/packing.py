"""Packing photos into a zip file while it is sent or stored: memory holds a block of one photo, and a list of names."""

import hashlib
import resource
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from io import BytesIO
from typing import Any, BinaryIO
from uuid import UUID
from zipfile import ZIP_DEFLATED

from django.conf import settings
from django.db.models import Prefetch, QuerySet
from django.utils import timezone
from zipstream import ZipStream

from accounts.models import Library, User
from accounts.roles import Permission
from photos import integrity
from photos.models import Photo, PhotoTag, Rendition
from photos.models.export import ORIGINALS, ExportMetadata
from processing.exporting.descriptions import SUFFIXES, as_json, described
from processing.exporting.names import MANIFEST, Names, safe_name
from processing.failures import Fault, classify

BLOCK_BYTES = 256 * 1024
# photos whose rows are read at once
READ_AT_ONCE = 100
# in one file: each name of it is remembered until its end
PHOTOS_PER_FILE = 10_000
MANIFEST_FORMAT = 1

# why a photo is not in a file that was to have it
NOT_AVAILABLE = "not_available"
NO_RENDITION = "no_rendition"
# what a store says of a photo that has other bytes, or none, for good
_OF_THE_PHOTO = frozenset({"wrong_bytes", "object_missing"})


class Package:
    """One zip file of photos, as somebody may have them at the moment at which each is packed.

    `chunks` gives its bytes, once. Behind them `position` is how many of the photos that were asked for were gone
    through: all, unless the file is `bounded` and full. `included` are those that are in it, `left_out` the others, by
    code: what may not be had, is not there or is not what it was does not end the file, but is told in its manifest.
    """

    def __init__(
        self, *, photo_ids: Sequence[UUID], by: User, content: str, metadata: str, heading: dict[str, Any]
    ) -> None:
        self._asked, self._by, self._content = photo_ids, by, content
        self._suffixes = SUFFIXES[ExportMetadata(metadata)]
        self._heading = {"format": MANIFEST_FORMAT, "content": content, "metadata": str(metadata), **heading}
        self._zip, self._names = ZipStream(), Names()
        self._packed: list[dict[str, Any]] = []
        self._missing: list[dict[str, str]] = []
        self._limit_bytes, self._until = 0, 0.0
        self._bytes = 0
        self.position = 0
        self.included: list[UUID] = []

    def bounded(self, *, seconds: float) -> "Package":
        """End before EXPORT_FILE_BYTES are reached, behind PHOTOS_PER_FILE, and after so many seconds."""
        # a process that decodes, if it does this too, may write no larger files
        allowed, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        allowed = settings.EXPORT_FILE_BYTES if allowed == resource.RLIM_INFINITY else allowed * 9 // 10
        self._limit_bytes = min(settings.EXPORT_FILE_BYTES, allowed)
        self._until = time.monotonic() + seconds
        return self

    @property
    def left_out(self) -> Counter[str]:
        """How many photos are not in the file, by code."""
        return Counter(one["code"] for one in self._missing)

    def chunks(self) -> Iterator[bytes]:
        """Give the bytes of the file. Raises what the stores raise when they do not answer."""
        # what is open is closed if whoever asks stops half-way
        with closing(self._all_chunks()) as chunks:
            for chunk in chunks:
                self._bytes += len(chunk)
                yield chunk

    def _all_chunks(self) -> Iterator[bytes]:
        for start in range(0, len(self._asked), READ_AT_ONCE):
            some = self._asked[start : start + READ_AT_ONCE]
            found = {photo.pk: photo for photo in self._permitted(some)}
            for photo_id in some:
                if self._is_full(found.get(photo_id)):
                    yield from self._end()
                    return
                yield from self._pack(photo_id, found.get(photo_id))
                self.position += 1
        yield from self._end()

    def _permitted(self, photo_ids: Sequence[UUID]) -> QuerySet[Photo]:
        """Read photos with what is packed of them, in five queries at most, whatever their number."""
        libraries = Library.objects.permitting(self._by, Permission.DOWNLOAD_ORIGINALS)
        photos = Photo.objects.visible_to(self._by).filter(pk__in=photo_ids, library__in=libraries)
        if self._suffixes:
            worn = PhotoTag.objects.worn().select_related("tag").order_by("tag__key")
            photos = photos.select_related("metadata").prefetch_related(Prefetch("photo_tags", worn, to_attr="worn"))
        if self._content != ORIGINALS:
            made = Rendition.objects.filter(kind=self._content)
            photos = photos.prefetch_related(Prefetch("renditions", made, to_attr="wanted"))
        return photos

    def _is_full(self, following: Photo | None) -> bool:
        """Whether the next photo goes into another file: one has one photo at least, however large."""
        if not self._limit_bytes or not self.position:
            return False
        coming = following.byte_size if following is not None and self._content == ORIGINALS else 0
        is_late = time.monotonic() >= self._until
        return is_late or self.position >= PHOTOS_PER_FILE or self._bytes + coming > self._limit_bytes

    def _pack(self, photo_id: UUID, photo: Photo | None) -> Iterator[bytes]:
        if photo is None:
            self._leave_out(photo_id, NOT_AVAILABLE)
            return
        try:
            opened = self._open(photo)
        except Exception as error:
            failure = classify(error)
            # a store that does not answer is no photo that is missing
            if failure.fault is Fault.INFRASTRUCTURE or failure.code not in _OF_THE_PHOTO:
                raise
            self._leave_out(photo_id, failure.code)
            return
        if opened is None:
            self._leave_out(photo_id, NO_RENDITION)
            return
        file, size, sha256 = opened
        fallback = f"{photo.pk}.{photo.image_format.lower()}"
        suffix = None if self._content == ORIGINALS else ".jpg"
        wanted = safe_name(photo.original_filename, fallback=fallback, suffix=suffix)
        name = self._names.take(wanted, beside=self._suffixes)
        with file:
            self._zip.add(iter(partial(file.read, BLOCK_BYTES), b""), name, size=size)
            yield from self._zip.all_files()
        beside = yield from self._describe(photo, name)
        self.included.append(photo_id)
        self._packed.append(
            {"photo": str(photo_id), "name": name, "byte_size": size, "sha256": sha256, "beside": beside}
        )

    def _describe(self, photo: Photo, name: str) -> Iterator[bytes]:
        beside = []
        for suffix in self._suffixes:
            keywords = [worn.tag.name for worn in photo.worn]
            data = described(photo, suffix=suffix, keywords=keywords)
            self._zip.add(data, name + suffix, compress_type=ZIP_DEFLATED)
            yield from self._zip.all_files()
            beside.append({"name": name + suffix, "sha256": hashlib.sha256(data).hexdigest()})
        return beside

    def _open(self, photo: Photo) -> tuple[BinaryIO, int, str] | None:
        """Open what is packed, with its size and its hash, all of which has been hashed; None: none is made.

        Raises as `integrity.open_original` does.
        """
        if self._content == ORIGINALS:
            return integrity.open_original(photo), photo.byte_size, photo.sha256
        if not photo.wanted:
            return None
        data = integrity.read_derived(key=photo.wanted[0].storage_key, sha256=photo.wanted[0].sha256)
        return BytesIO(data), len(data), hashlib.sha256(data).hexdigest()

    def _leave_out(self, photo_id: UUID, code: str) -> None:
        self._missing.append({"photo": str(photo_id), "code": code})

    def _end(self) -> Iterator[bytes]:
        """Give the manifest, which tells what is in the file and what is not, and the end of the zip."""
        made_at = timezone.now().isoformat().replace("+00:00", "Z")
        manifest = {**self._heading, "made_at": made_at, "photos": self._packed, "left_out": self._missing}
        self._zip.add(as_json(manifest), MANIFEST, compress_type=ZIP_DEFLATED)
        yield from self._zip.finalize()
