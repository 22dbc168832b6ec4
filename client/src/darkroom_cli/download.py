"""Downloading photos into a folder: resumed where it was cut off, verified, and never outside of the folder."""

import hashlib
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import httpx

from darkroom_cli.connection import Connection, is_passing
from darkroom_cli.parts import hash_of, opened_part, publish, unwritable, write
from darkroom_cli.problems import DarkroomError, ProblemError, RefusedFileError, StoppedError
from darkroom_cli.progress import Transfer
from darkroom_cli.report import refusal
from darkroom_cli.text import safe_name

BLOCK_BYTES = 256 * 1024
_SHA256 = re.compile("[0-9a-f]{64}")


class Kind(StrEnum):
    """What is downloaded of a photo."""

    ORIGINAL = "original"
    PREVIEW = "preview"
    XMP = "xmp"


class Outcome(StrEnum):
    """What became of a photo."""

    DOWNLOADED = "downloaded"
    THERE = "there"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to be had: of which photo, where it is, what it may be called, and, if it is known, what it hashes to."""

    photo: UUID
    kind: Kind
    path: str
    name: str
    sha256: str | None
    size: int

    @property
    def other_name(self) -> str:
        """The name that no other photo has, for where the first is taken."""
        stem, dot, extension = self.name.partition(".") if self.kind == Kind.XMP else self.name.rpartition(".")
        return f"{stem} ({self.photo}){dot}{extension}" if stem else f"{extension} ({self.photo})"


def wanted(photo: Any, kind: Kind) -> Wanted:
    """Say what is to be had of a photo."""
    name = safe_name(photo.original_filename, otherwise=photo.id)
    base = f"/api/v1/photos/{photo.id}"
    if kind == Kind.XMP:
        return Wanted(photo.id, kind, f"{base}/original?metadata=xmp", f"{name}.xmp", None, 0)
    if kind == Kind.PREVIEW:
        # of what lies in the trash none is named
        renditions = getattr(photo, "renditions", ())
        size = next((one.byte_size for one in renditions if one.kind == "preview"), 0)
        stem = name.rpartition(".")[0] or name
        return Wanted(photo.id, kind, f"{base}/renditions/preview", f"{stem}.preview.jpg", None, size)
    return Wanted(photo.id, kind, f"{base}/original", name, photo.sha256, photo.byte_size)


@dataclass
class FolderDownload:
    """The download of photos into `folder`, which is made if it is not there."""

    connection: Connection
    folder: Path
    transfer: Transfer
    jobs: int
    results: Counter[Outcome] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _names: dict[str, UUID] = field(default_factory=dict)
    _fatal: DarkroomError | None = None

    def run(self, files: Iterable[Wanted]) -> None:
        """Download them. Raises what would be the answer to all others as well."""
        self.folder.mkdir(parents=True, exist_ok=True)
        pool = ThreadPoolExecutor(self.jobs)
        open_ones: set[Future[None]] = set()
        try:
            for one in files:
                if len(open_ones) >= 2 * self.jobs:
                    open_ones = self._settled(open_ones)
                open_ones.add(pool.submit(self._have, one))
            while open_ones:
                open_ones = self._settled(open_ones)
        except BaseException:
            # a Ctrl-C too: what is half there goes on the next time
            self.connection.stop()
            if self._fatal is not None:
                raise self._fatal from None
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _settled(self, open_ones: set[Future[None]]) -> set[Future[None]]:
        done, open_ones = wait(open_ones, return_when=FIRST_COMPLETED)
        for one in done:
            one.result()
        return open_ones

    def _have(self, file: Wanted) -> None:
        """See to it that a file is there, in a thread of the pool."""
        if self.connection.stopping.is_set():
            raise StoppedError("Stopped")
        label = str(file.photo)
        self.transfer.begin(label, file.size, shown=file.name)
        outcome = Outcome.REFUSED
        try:
            outcome = self._fetched(file, label)
        except (RefusedFileError, ProblemError) as error:
            if isinstance(error, ProblemError) and error.status == 401:
                self._end(error)
                raise
            self.transfer.say(refusal(file.name, error))
        except DarkroomError as error:
            self._end(error)
            raise
        finally:
            # what was cut off is shown as it was
            if outcome != Outcome.REFUSED or not self.connection.stopping.is_set():
                self.transfer.end(label, file.size, is_through=outcome == Outcome.DOWNLOADED)
        with self._lock:
            self.results[outcome] += 1

    def _fetched(self, file: Wanted, label: str) -> Outcome:
        try:
            return _Fetch(self, file, label).run()
        except OSError as error:
            raise unwritable(error) from error

    def _end(self, error: DarkroomError) -> None:
        with self._lock:
            if self._fatal is None and not isinstance(error, StoppedError):
                self._fatal = error
        self.connection.stop()

    def claim(self, name: str, photo: UUID) -> bool:
        """Take a name for a photo, for as long as this runs: two that come at once do not get the same one."""
        with self._lock:
            # file systems differ in what they take for the same
            return self._names.setdefault(name.casefold(), photo) == photo


@dataclass
class _Fetch:
    """One file on its way."""

    to: FolderDownload
    file: Wanted
    label: str

    def run(self) -> Outcome:
        """Look for the file, else fetch it: into a part of its own first, which is named when it is whole."""
        place, is_there = self._place()
        if is_there:
            return Outcome.THERE
        part = self.to.folder / f".darkroom-{self.file.photo}.{self.file.kind}.part"
        patience = self.to.connection.patience()
        is_second = False
        with opened_part(part) as opened:
            while True:
                try:
                    self._fetch(opened, patience.reset)
                    break
                except _WrongBytesError as error:
                    # what was there before may have been of something else; what has just come has not
                    opened.truncate(0)
                    if is_second:
                        part.unlink(missing_ok=True)
                        raise RefusedFileError(error.detail, code=error.code) from error
                    is_second = True
                except DarkroomError as error:
                    if not is_passing(error):
                        if opened.seek(0, os.SEEK_END) == 0:
                            part.unlink(missing_ok=True)
                        raise
                    patience.pause(error)
            opened.flush()
            # while nobody else may have the part
            publish(part, place, may_replace=self._is_ours(place))
        return Outcome.DOWNLOADED

    def _place(self) -> tuple[Path, bool]:
        """Give the path that the file gets, and whether it is there already. Raises RefusedFileError."""
        for name in (self.file.name, self.file.other_name):
            path = self.to.folder / name
            if not self.to.claim(name, self.file.photo):
                continue
            if not os.path.lexists(path):
                return path, False
            if self._is_same(path):
                return path, True
            if self._is_ours(path):
                return path, False
        raise RefusedFileError(
            "Another file has its name, also with the photo's id in it: it may be a copy that was altered", code="taken"
        )

    def _is_ours(self, path: Path) -> bool:
        """Tell whether a path may be replaced: what is made anew each time, under a name with the photo's id."""
        return self.file.kind != Kind.ORIGINAL and path.name == self.file.other_name

    def _is_same(self, path: Path) -> bool:
        """Tell whether a file is the one that is wanted."""
        if path.is_symlink() or not path.is_file():
            return False
        if self.file.sha256 is not None:
            return path.stat().st_size == self.file.size and hash_of(path) == self.file.sha256
        if self.file.kind == Kind.XMP:
            return path.read_bytes() == self.to.connection.patiently(self._whole)
        return self.to.connection.patiently(partial(self._is_unchanged, hash_of(path)))

    def _fetch(self, part: BinaryIO, alive: Callable[[], None]) -> None:
        """Fetch what is missing. Raises _WrongBytesError where the whole is not what it has to be."""
        if self.file.kind == Kind.XMP:
            part.truncate(0)
            part.seek(0)
            sidecar = self._whole()
            write(part, sidecar)
            self.to.transfer.at(self.label, len(sidecar), len(sidecar))
            return
        if self.file.sha256 is None:
            # small, and with another version it would be of other bytes
            part.truncate(0)
        have = part.seek(0, os.SEEK_END)
        if self.file.sha256 is not None and have >= self.file.size:
            self._verify(part, self.file.sha256)
            return
        with self._streamed({"Range": f"bytes={have}-"} if have else {}) as answer:
            if answer.status_code != 206:
                part.truncate(0)
                have = part.seek(0)
            with self.to.connection.speaking():
                for block in answer.iter_raw(BLOCK_BYTES):
                    if self.to.connection.stopping.is_set():
                        raise StoppedError("Stopped")
                    write(part, block)
                    have += len(block)
                    if self.file.sha256 is not None and have > self.file.size:
                        raise _WrongBytesError("More has arrived than the photo has", code="wrong_hash")
                    alive()
                    self.to.transfer.at(self.label, have, len(block))
            etag = answer.headers.get("ETag", "").strip('"')
        expected = self.file.sha256 or (etag if _SHA256.fullmatch(etag) else None)
        if expected is not None:
            self._verify(part, expected)

    def _verify(self, part: BinaryIO, expected: str) -> None:
        part.flush()
        part.seek(0)
        if hashlib.file_digest(part, "sha256").hexdigest() != expected:
            raise _WrongBytesError("What has arrived does not have the SHA-256 that it has to have", code="wrong_hash")

    def _whole(self) -> bytes:
        """Give a small file."""
        with self._streamed({}) as answer, self.to.connection.speaking():
            return answer.read()

    def _is_unchanged(self, sha256: str) -> bool:
        """Ask whether a file is still the one that has this hash."""
        with self._streamed({"If-None-Match": f'"{sha256}"'}) as answer:
            return answer.status_code == 304

    def _streamed(self, headers: dict[str, str]) -> "_Stream":
        # as it is: a length that is told is that of the bytes that come
        return _Stream(self.to.connection, self.file.path, {"Accept-Encoding": "identity", **headers})


class _WrongBytesError(DarkroomError):
    """What has arrived is not what was asked for."""


class _Stream:
    """An answer whose body is read as it comes; a bucket is followed to, without the key."""

    def __init__(self, connection: Connection, path: str, headers: dict[str, str]) -> None:
        self._connection = connection
        client = connection.client.get_httpx_client()
        self._context = client.stream("GET", path, headers=headers, follow_redirects=True)

    def __enter__(self) -> httpx.Response:
        with self._connection.speaking():
            return self._context.__enter__()

    def __exit__(self, *error: object) -> None:
        self._context.__exit__(*error)


def of_photos(photos: Iterable[Any], kind: Kind) -> Iterator[Wanted]:
    """Say what is to be had of each photo."""
    return (wanted(one, kind) for one in photos)
