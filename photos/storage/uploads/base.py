"""What the bytes of an upload can do, wherever they lie."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Protocol
from uuid import UUID

# so much is lost at most where a server dies: the client sends it again
COMMIT_BYTES = 8 * 1024 * 1024

Remember = Callable[[], None]


class PartsLostError(Exception):
    """What was committed of an upload is not in its store any more: it has to be begun anew."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something that lies there: of which upload (None: none of ours), its size in bytes, and since when.

    `multipart_id` names an S3 multipart upload, which has no size.
    """

    upload_id: UUID | None
    key: str
    size: int
    modified_at: datetime
    multipart_id: str = ""


class Parts(Protocol):
    """The bytes of one upload.

    Written by one process at a time, which holds the row's lease. One that has lost it without knowing may go on, and
    spoils nothing: whoever takes over writes elsewhere.
    """

    state: dict[str, Any]

    def begin(self, *, offset: int, was_abandoned: bool, remember: Remember) -> None:
        """Make ready to write behind the committed `offset`. `was_abandoned`: the last writer never let go.

        `remember` commits `state`, and raises where the lease is lost: it is called before the store is touched.
        Raises PartsLostError.
        """

    def write(self, data: bytes) -> None:
        """Take the next bytes."""

    @property
    def is_due(self) -> bool:
        """Whether enough has come for a commit."""

    def flush(self, *, whole: bool) -> int:
        """Make what has come durable, all of it or what is convenient; gives the offset that may be committed now."""

    def tidy(self) -> None:
        """Delete what a commit has put others in the place of."""

    def close(self) -> None:
        """Let go of what has not been flushed."""

    def join(self) -> None:
        """Make one object of all the parts, to be read and placed; may be repeated. Raises PartsLostError."""

    def open(self) -> BinaryIO:
        """Open what was joined for reading, seekable."""

    def place(self, key: str) -> None:
        """Put what was joined under the key of an original, without a way through this process."""

    def names(self, part: Part) -> bool:
        """Whether `state` knows of something that lies there of this upload."""

    def clear(self) -> None:
        """Delete all that there is of the upload; may be repeated."""
