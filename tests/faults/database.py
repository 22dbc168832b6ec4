"""What the harness asks the database, past the proxy."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import psycopg2

# without messages, longer than a worker takes to start and to load a model, or a client of Redis to connect anew
QUIET_SECONDS = 20.0
_OPEN = "state IN ('pending', 'running')"
# a run that waits below a dead one is moved by a person alone
_UNSETTLED = f"""
    SELECT (SELECT count(*) FROM processing_stagerun WHERE {_OPEN})
         + (SELECT count(*) FROM processing_libraryrun WHERE {_OPEN})
         + (SELECT count(*) FROM processing_stagerun AS run WHERE state = 'waiting' AND NOT EXISTS (
                SELECT 1 FROM processing_stagerun AS dead WHERE dead.photo_id = run.photo_id AND dead.state = 'dead'))
"""
_MOVEMENT = "SELECT state, count(*), sum(commits), max(finished_at) FROM processing_stagerun GROUP BY state ORDER BY 1"


class Database:
    """Queries, each on a connection of its own: the server may be restarted between two."""

    def __init__(self, address: Callable[[], str], *, messages: Callable[[], Mapping[str, int]] | None = None) -> None:
        self._address = address
        # of a pipeline that moves by messages alone: how many lie where
        self._messages = messages

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Run one statement and give its rows. Raises psycopg2.Error where the server is down."""
        connection = psycopg2.connect(self._address(), connect_timeout=5)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(sql, values)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def number(self, sql: str, *values: object) -> int:
        """Run a statement that gives one number."""
        return self.rows(sql, *values)[0][0] or 0

    def unsettled(self) -> int:
        """Count the runs that still move by themselves."""
        return self.number(_UNSETTLED)

    def pending(self, stage: str = "") -> int:
        """Count the runs that could be claimed, of one stage or of all."""
        return self.number(
            "SELECT count(*) FROM processing_stagerun WHERE state = 'pending' AND %s IN ('', stage)", stage
        )

    def dead(self) -> list[tuple[Any, ...]]:
        """Give id, stage, error code and detail of every dead letter."""
        return self.rows(
            "SELECT id, stage, error_code, left(error_detail, 200) FROM processing_stagerun WHERE state = 'dead' "
            "UNION ALL "
            "SELECT id, kind, error_code, left(error_detail, 200) FROM processing_libraryrun WHERE state = 'dead'"
        )

    def live_workers(self, *, since_seconds: float = 15) -> set[str]:
        """Give the names of the workers that have said lately that they are there."""
        rows = self.rows(
            "SELECT name FROM processing_workerpresence WHERE seen_at > now() - make_interval(secs => %s)",
            since_seconds,
        )
        return {name for (name,) in rows}

    def wait_until_settled(self, *, seconds: float) -> bool:
        """Wait until nothing moves any more by itself; False if it still does after so long.

        With `messages` it is settled when none is left either, which may do again what is done; False too where
        nothing has moved for QUIET_SECONDS.
        """
        deadline = time.monotonic() + seconds
        before: object = None
        quiet_since = time.monotonic()
        while time.monotonic() < deadline:
            left, messages = self.unsettled(), self._messages() if self._messages else {}
            if left == 0 and not any(messages.values()):
                return True
            if self._messages:
                now = (messages, self.rows(_MOVEMENT))
                if now != before:
                    before, quiet_since = now, time.monotonic()
                elif time.monotonic() - quiet_since > QUIET_SECONDS:
                    return False
            time.sleep(0.5)
        return False
