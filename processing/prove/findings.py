"""What a proof has found, in a notebook that takes millions."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice

from photos import storage
from processing.prove.sorts import SORTS, Kind, Remedy, Sort

ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Finding:
    """One offence, or what may turn out to be one.

    `check` and `subject` say what has to be looked at again to see whether it still is; `ripe_at` is the moment from
    which on it counts, none: at once. Ids are texts; `item` is what else it is about: a stored object, a vector, a
    version. `detail` is one line for a person.
    """

    check: str
    subject: str
    code: str
    detail: str
    photo: str = ""
    run: str = ""
    stage: str = ""
    library: str = ""
    user: str = ""
    item: str = ""
    modified_at: datetime | None = None
    ripe_at: datetime | None = None

    @property
    def sort(self) -> Sort:
        """What it is."""
        return SORTS[self.code]

    @property
    def identity(self) -> tuple[str, ...]:
        """Tells whether two looks have found the same. An object may be wrong in another way each time it is read."""
        is_object = self.item.startswith(tuple(f"{alias}/" for alias in (storage.ORIGINALS, storage.RENDITIONS)))
        return (self.check, self.subject, "" if is_object else self.code, self.run, self.stage, self.item)

    def as_json(self) -> dict[str, str]:
        """What `--json` writes of it."""
        named = {name: getattr(self, name) for name in ("photo", "run", "stage", "library", "user", "item")}
        filled = {name: value for name, value in named.items() if value}
        return {"kind": self.sort.kind, "code": self.code, **filled, "detail": self.detail}


class Findings:
    """Findings in a temporary database of its own: a store that is not mounted makes as many as there are photos."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.execute(
            "CREATE TABLE finding (id INTEGER PRIMARY KEY, kind TEXT, code TEXT, remedy TEXT, is_checked INTEGER, "
            "ripe_at TEXT, photo TEXT, library TEXT, stage TEXT, body TEXT)"
        )
        database.execute("CREATE INDEX finding_code ON finding (kind, code)")

    def add(self, findings: Iterable[Finding]) -> None:
        """Note findings that have to be looked at again."""
        self._database.executemany(
            "INSERT INTO finding (kind, code, remedy, is_checked, ripe_at, photo, library, stage, body) "
            "VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?)",
            (
                (
                    one.sort.kind,
                    one.code,
                    one.sort.remedy,
                    one.ripe_at and one.ripe_at.isoformat(),
                    one.photo,
                    one.library,
                    one.stage,
                    json.dumps(asdict(one), default=datetime.isoformat),
                )
                for one in findings
            ),
        )

    def doubtful(self) -> Iterator[list[tuple[int, Finding]]]:
        """Give what has to be looked at again, some at a time."""
        yield from self._some("is_checked = 0", ())

    def replace(self, old: Sequence[int], still: Iterable[Finding], *, now: datetime) -> None:
        """Put what a second look has found in the place of the first; what is ripe now is an offence."""
        self._database.executemany("DELETE FROM finding WHERE id = ?", ((one,) for one in old))
        for one in still:
            self.add([one])
            if one.ripe_at is None or one.ripe_at <= now:
                self._database.execute("UPDATE finding SET is_checked = 1 WHERE id = last_insert_rowid()")

    def settle(self) -> None:
        """Take what is still doubtful for an offence: it was given time enough."""
        self._database.execute("UPDATE finding SET is_checked = 1")

    def ripest(self) -> datetime | None:
        """Give the earliest moment at which something doubtful counts; none if nothing is doubtful."""
        first = self._database.execute("SELECT min(ripe_at) FROM finding WHERE is_checked = 0").fetchone()[0]
        return first and datetime.fromisoformat(first)

    def counts(self) -> dict[str, int]:
        """Give the five counts."""
        rows = dict(self._database.execute("SELECT kind, count(*) FROM finding GROUP BY kind"))
        return {kind.value: rows.get(kind.value, 0) for kind in Kind}

    def by_code(self) -> list[tuple[str, int]]:
        """Give how many there are of each sort, in the order of the five kinds."""
        rows = dict(self._database.execute("SELECT code, count(*) FROM finding GROUP BY code"))
        return [(code, rows[code]) for code in SORTS if code in rows]

    def distinct(self, column: str, remedy: Remedy, *, stage: str = "") -> int:
        """Count the different values of `id`, `photo` or `library` of what has this remedy."""
        query = f"SELECT count(DISTINCT {column}) FROM finding WHERE remedy = ? AND ? IN ('', stage)"  # noqa: S608 - our own names
        return self._database.execute(query, (remedy.value, stage)).fetchone()[0]

    def all(self, *, code: str | None = None, remedy: Remedy | None = None) -> Iterator[Finding]:
        """Give findings, of one sort or one remedy if asked for, in the order in which they were noted."""
        wanted = {"code": code, "remedy": remedy and remedy.value}
        given = {name: value for name, value in wanted.items() if value is not None}
        condition = " AND ".join(f"{name} = ?" for name in given) or "1"
        for some in self._some(condition, tuple(given.values())):
            yield from (finding for _, finding in some)

    def first(self, code: str, limit: int) -> list[Finding]:
        """Give the first findings of a sort."""
        return list(islice(self.all(code=code), limit))

    def _some(self, condition: str, values: tuple[str, ...]) -> Iterator[list[tuple[int, Finding]]]:
        # not what is noted meanwhile
        end = self._database.execute("SELECT coalesce(max(id), 0) FROM finding").fetchone()[0]
        query = f"SELECT id, body FROM finding WHERE id > ? AND id <= ? AND {condition} ORDER BY id LIMIT ?"  # noqa: S608 - our own names
        last = 0
        while True:
            rows = self._database.execute(query, (last, end, *values, ROWS_AT_ONCE)).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            yield [(number, _finding(json.loads(body))) for number, body in rows]


def _finding(values: dict[str, str]) -> Finding:
    times = {name: values[name] and datetime.fromisoformat(values[name]) for name in ("modified_at", "ripe_at")}
    return Finding(**{**values, **times})
