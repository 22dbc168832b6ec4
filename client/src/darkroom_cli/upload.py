"""Uploading a folder: what the server has is left out, what it lacks is sent, several files at once."""

import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from uuid import UUID

from darkroom_client.api.photos import photos_list

from darkroom_cli import folder
from darkroom_cli.connection import Connection
from darkroom_cli.folder import LocalFile
from darkroom_cli.problems import DarkroomError, ProblemError, RefusedFileError, StoppedError
from darkroom_cli.progress import Transfer
from darkroom_cli.report import refusal
from darkroom_cli.sending import Sender

# as many hashes as the API takes in one question
ASKED_AT_ONCE = 40
# no longer is hashed before the first file is on its way
HASHED_AT_ONCE_BYTES = 256 * 1024 * 1024


class Outcome(StrEnum):
    """What became of a file."""

    SENT = "sent"
    THERE = "there"
    DUPLICATE = "duplicate"
    WOULD_BE_SENT = "would_be_sent"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a file: the photo that it is, or why it is none."""

    file: str
    outcome: Outcome
    photo: UUID | None = None
    error: DarkroomError | None = None


@dataclass
class FolderUpload:
    """The upload of a folder's photos. `dry_run` sends nothing."""

    connection: Connection
    sender: Sender
    transfer: Transfer
    jobs: int
    dry_run: bool = False
    results: list[Result] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _fatal: DarkroomError | None = None

    def run(self, photos: list[LocalFile]) -> None:
        """Upload them. Raises what would be the answer to all others as well; `results` has what was done by then."""
        photo_of: dict[str, Future[UUID]] = {}
        waiting = threading.Semaphore(2 * self.jobs)
        pool = ThreadPoolExecutor(self.jobs)
        try:
            for batch in folder.batches(photos, count=ASKED_AT_ONCE, size=HASHED_AT_ONCE_BYTES):
                self._hand_out(batch, photo_of, pool, waiting)
            pool.shutdown(wait=True)
        except BaseException:
            # a Ctrl-C too: what is on its way is cut off, and goes on the next time
            self.connection.stop()
            pool.shutdown(wait=True, cancel_futures=True)
            if self._fatal is not None:
                raise self._fatal from None
            raise
        if self._fatal is not None:
            raise self._fatal
        for one in photo_of.values():
            # what nobody has thought of is not passed over
            if one.done() and not isinstance(error := one.exception(), DarkroomError | None):
                raise error

    def pass_over(self, unreadable: list[tuple[str, RefusedFileError]]) -> None:
        """Note what could not be looked at."""
        for name, error in unreadable:
            self._note(Result(name, Outcome.REFUSED, error=error))

    def count(self) -> Counter[Outcome]:
        """Count the files by what became of them."""
        return Counter(one.outcome for one in self.results)

    def photos(self, order: list[LocalFile]) -> list[UUID]:
        """Give the ids of the photos, each once, in the order of the files."""
        known = {one.file: one.photo for one in self.results if one.photo is not None}
        return list(dict.fromkeys(known[one.name] for one in order if one.name in known))

    def _hand_out(
        self,
        batch: list[LocalFile],
        photo_of: dict[str, Future[UUID]],
        pool: ThreadPoolExecutor,
        waiting: threading.Semaphore,
    ) -> None:
        """Hash files, ask which of them are there, and have the others sent."""
        hashes = {file.name: sha256 for file in batch if (sha256 := self._hashed(file)) is not None}
        there = self._there(set(hashes.values()) - set(photo_of))
        for file in batch:
            sha256 = hashes.get(file.name)
            if sha256 is None:
                continue
            if sha256 in there:
                self._skip(file, Outcome.THERE, there[sha256])
                self.sender.journal.forget(sha256)
            elif self.dry_run and sha256 not in photo_of:
                photo_of[sha256] = Future()
                self._skip(file, Outcome.WOULD_BE_SENT)
            elif sha256 in photo_of:
                photo_of[sha256].add_done_callback(partial(self._same_as, file))
                if self.dry_run:
                    self._skip(file, Outcome.DUPLICATE)
            else:
                waiting.acquire()
                if self.connection.stopping.is_set():
                    raise StoppedError("Stopped")
                photo_of[sha256] = pool.submit(self._send, file, sha256)
                photo_of[sha256].add_done_callback(lambda _: waiting.release())

    def _hashed(self, file: LocalFile) -> str | None:
        if self.connection.stopping.is_set():
            raise StoppedError("Stopped")
        try:
            return folder.hashed(file)
        except RefusedFileError as error:
            self._note(Result(file.name, Outcome.REFUSED, error=error))
            self.transfer.skip(file.size)
            return None

    def _there(self, hashes: set[str]) -> dict[str, UUID]:
        """Ask which bytes are photos of the library; a key that may not look gets none told."""
        if not hashes:
            return {}
        asked = {"library": self.sender.library, "sha256": sorted(hashes), "page_size": ASKED_AT_ONCE}
        return {one.sha256: one.id for one in self.connection.pages(photos_list, **asked)}

    def _send(self, file: LocalFile, sha256: str) -> UUID:
        """Send a file, in a thread of the pool."""
        if self.connection.stopping.is_set():
            raise StoppedError("Stopped")
        self.transfer.begin(file.name, file.size, shown=file.name)
        is_through = False
        try:
            photo = self.sender.send(file, sha256, watch=partial(self.transfer.at, file.name))
            is_through = True
        except (RefusedFileError, ProblemError) as error:
            if isinstance(error, ProblemError) and error.is_of_everything:
                self._end(error)
                raise
            self._note(Result(file.name, Outcome.REFUSED, error=error))
            raise
        except DarkroomError as error:
            self._end(error)
            raise
        except OSError as error:
            # of the journal: what is not noted would be sent from its start again
            self._end(DarkroomError(f"{error.filename}: {error.strerror or error}", code="unwritable"))
            raise
        finally:
            # what was cut off is shown as it was
            if is_through or not self.connection.stopping.is_set():
                self.transfer.end(file.name, file.size, is_through=is_through)
        self._note(Result(file.name, Outcome.SENT, photo))
        return photo

    def _same_as(self, file: LocalFile, other: Future[UUID]) -> None:
        """Note a file whose bytes another one of the folder has, when it is known what became of that one."""
        if other.cancelled() or self.connection.stopping.is_set():
            return
        error = other.exception()
        if isinstance(error, DarkroomError):
            self._note(Result(file.name, Outcome.REFUSED, error=error))
        else:
            self._note(Result(file.name, Outcome.DUPLICATE, other.result()))
        self.transfer.skip(file.size)

    def _skip(self, file: LocalFile, outcome: Outcome, photo: UUID | None = None) -> None:
        self._note(Result(file.name, outcome, photo))
        self.transfer.skip(file.size)

    def _end(self, error: DarkroomError) -> None:
        """End it all: the first reason is the one that is told."""
        with self._lock:
            if self._fatal is None and not isinstance(error, StoppedError):
                self._fatal = error
        self.connection.stop()

    def _note(self, result: Result) -> None:
        with self._lock:
            self.results.append(result)
        if result.error is not None:
            self.transfer.say(refusal(result.file, result.error))
