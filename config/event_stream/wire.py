"""Events as they go over the wire: `text/event-stream`, as the HTML standard has it."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from photos.models import Event

# nothing is told by it: proxies see that the connection lives
HEARTBEAT = b":\n\n"
# of a client that was cut off, until it comes again: not all of them at once
RETRY_MILLISECONDS = (1000, 5000)

# what is no event of ours, but of the stream itself
LISTENING, RESET, END = "listening", "reset", "end"


@dataclass(frozen=True, slots=True)
class Told:
    """An event, written out once for everybody, and what decides who is told."""

    position: int
    kind: str
    library_id: UUID
    photo_id: UUID | None
    is_hidden: bool
    text: bytes


def told(event: Event) -> Told:
    """Write an event out."""
    said: dict[str, object] = {"kind": event.kind, "library": str(event.library_id)}
    if event.photo_id is not None:
        said["photo"] = str(event.photo_id)
    said |= {"at": event.created_at.isoformat(timespec="milliseconds"), **event.payload}
    text = _block(event.kind, said, position=event.position)
    return Told(event.position, event.kind, event.library_id, event.photo_id, event.is_hidden, text)


def opening() -> bytes:
    """Begin a stream: a client sees that it is there before anything happens, and when to come again."""
    return f"retry: {random.randint(*RETRY_MILLISECONDS)}\n\n".encode()  # noqa: S311 - spreading load, not secrets


def listening(position: int) -> bytes:
    """Say that all that was missed has been told, and where in the order of events a client is by that."""
    return _block(LISTENING, {"kind": LISTENING}, position=position)


def reached(position: int) -> bytes:
    """Say how far a stream has come, without an event: whoever comes back has missed nothing of what is before."""
    return f"id: {position}\n\n".encode()


def reset(position: int, *, reason: str) -> bytes:
    """Say that events are missing, and from where on none is."""
    return _block(RESET, {"kind": RESET, "reason": reason}, position=position)


def end(*, reason: str) -> bytes:
    """Say why the stream ends."""
    return _block(END, {"kind": END, "reason": reason})


def _block(kind: str, said: Mapping[str, object], *, position: int | None = None) -> bytes:
    number = "" if position is None else f"id: {position}\n"
    return f"{number}event: {kind}\ndata: {json.dumps(said, ensure_ascii=False)}\n\n".encode()
