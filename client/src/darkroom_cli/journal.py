"""Uploads under way, kept on disk so that whoever was killed goes on: a small file for each, of its own name.

Two commands at once may use one entry: the server lets one at a time at an upload, and the other finds it complete.
"""

import hashlib
import json
import os
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

# servers keep an upload for a day after its last byte, unless they are told otherwise
KEPT_SECONDS = 14 * 24 * 3600


@dataclass(slots=True)
class Entry:
    """An upload: the key with which it is begun, once, and its id as soon as it is known."""

    idempotency_key: str
    upload: str | None = None


class Journal:
    """The entries of one server, library and person (told apart by key)."""

    def __init__(self, folder: Path, *, url: str, key: str, library: uuid.UUID) -> None:
        self._folder = folder
        self._of = f"{url}\0{key}\0{library}"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._sweep()

    def entry(self, sha256: str) -> Entry:
        """Give the entry of a file; a new one is on disk when this returns."""
        try:
            said = json.loads(self._path(sha256).read_text())
            return Entry(str(said["idempotency_key"]), said["upload"] and str(said["upload"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            entry = Entry(str(uuid.uuid4()))
            self.write(sha256, entry)
            return entry

    def write(self, sha256: str, entry: Entry) -> None:
        """Keep an entry, whole or not at all."""
        path = self._path(sha256)
        new = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        new.write_text(json.dumps(asdict(entry)))
        new.replace(path)

    def forget(self, sha256: str) -> None:
        """Drop an entry."""
        self._path(sha256).unlink(missing_ok=True)

    def _path(self, sha256: str) -> Path:
        name = hashlib.sha256(f"{self._of}\0{sha256}".encode()).hexdigest()
        return self._folder / f"{name}.json"

    def _sweep(self) -> None:
        oldest = time.time() - KEPT_SECONDS
        for path in self._folder.iterdir():
            # another command may sweep, too
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < oldest:
                    path.unlink()
