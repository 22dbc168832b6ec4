"""What the stores hold, as a sorted table in a temporary database: neither memory nor PostgreSQL has to take it."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from uuid import UUID

from photos import storage

ALIASES = (storage.ORIGINALS, storage.RENDITIONS)
OBJECTS_AT_ONCE = 1000


class ListedObject(NamedTuple):
    """An object as its store lists it."""

    alias: str
    key: str
    size: int
    modified_at: datetime


@contextmanager
def scratch() -> Iterator[sqlite3.Connection]:
    """Give a temporary database, on disk, that is gone afterwards."""
    with TemporaryDirectory(prefix="darkroom-prove-") as folder:
        database = sqlite3.connect(Path(folder) / "scratch.sqlite", isolation_level=None)
        try:
            # it need not survive anything
            database.execute("PRAGMA journal_mode = OFF")
            database.execute("PRAGMA synchronous = OFF")
            yield database
        finally:
            database.close()


class Listing:
    """All objects of both stores, or of one library in them."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.execute(
            "CREATE TABLE object (alias TEXT, key TEXT, size INTEGER, modified_at TEXT, PRIMARY KEY (alias, key)) "
            "WITHOUT ROWID"
        )

    def read(self, *, library_id: UUID | None, advance: Callable[[int], None]) -> None:
        """List the stores; `advance` is told how many objects have come."""
        prefix = "" if library_id is None else f"{library_id}/"
        for alias in ALIASES:
            objects = storage.list_objects(alias=alias, prefix=prefix)
            while some := list(islice(objects, OBJECTS_AT_ONCE)):
                rows = [(alias, one.key, one.size, one.modified_at.isoformat()) for one in some]
                self._database.execute("BEGIN")
                # a store may give an object twice that is written meanwhile
                self._database.executemany("INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?)", rows)
                self._database.execute("COMMIT")
                advance(len(some))

    def count(self, alias: str | None = None) -> int:
        """Count the objects, of one store or of both."""
        if alias is None:
            return self._database.execute("SELECT count(*) FROM object").fetchone()[0]
        return self._database.execute("SELECT count(*) FROM object WHERE alias = ?", (alias,)).fetchone()[0]

    def batches(self) -> Iterator[list[ListedObject]]:
        """Give the objects in the order of their keys, so that those of one photo come together."""
        last = ("", "")
        while True:
            query = "SELECT * FROM object WHERE (alias, key) > (?, ?) ORDER BY alias, key LIMIT ?"
            rows = self._database.execute(query, (*last, OBJECTS_AT_ONCE)).fetchall()
            if not rows:
                return
            last = rows[-1][:2]
            yield [ListedObject(*row[:3], datetime.fromisoformat(row[3])) for row in rows]

    def sizes(self, alias: str, keys: Iterable[str]) -> dict[str, int]:
        """Give the sizes of those objects that are there, by key."""
        wanted = list(keys)
        found: dict[str, int] = {}
        for start in range(0, len(wanted), OBJECTS_AT_ONCE):
            some = wanted[start : start + OBJECTS_AT_ONCE]
            marks = ",".join("?" * len(some))
            query = f"SELECT key, size FROM object WHERE alias = ? AND key IN ({marks})"  # noqa: S608 - marks alone
            found.update(self._database.execute(query, (alias, *some)))
        return found
