"""The database: whether it answers, how fast, and how many connections are left."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from config.health.findings import Finding

# libpq takes no less
CONNECT_SECONDS = 2
STATEMENT_SECONDS = 2
MANY_CONNECTIONS = 0.9


@contextmanager
def hurried_connection() -> Iterator[BaseDatabaseWrapper]:
    """Use a fresh connection with short time limits as this thread's, for one transaction."""
    usual = connections[DEFAULT_DB_ALIAS]
    hurried = usual.copy()
    hurried.settings_dict["OPTIONS"] = {**hurried.settings_dict["OPTIONS"], "connect_timeout": CONNECT_SECONDS}
    connections[DEFAULT_DB_ALIAS] = hurried
    try:
        with transaction.atomic():
            with hurried.cursor() as cursor:
                # of the transaction, not of the session: a pooler may give the session to somebody else
                cursor.execute("SET LOCAL statement_timeout = %s", [f"{STATEMENT_SECONDS}s"])
            yield hurried
    finally:
        hurried.close()
        connections[DEFAULT_DB_ALIAS] = usual


def check_reachable() -> Finding:
    """Connect and ask for the number 1."""
    with hurried_connection() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return Finding()


def check_database() -> Finding:
    """Connect; give the time of an answer, and the connections in use of those that there can be."""
    finding = Finding()
    started = time.perf_counter()
    with hurried_connection() as connection, connection.cursor() as cursor:
        connected = time.perf_counter()
        cursor.execute("SELECT 1")
        answered = time.perf_counter()
        cursor.execute(
            """
            SELECT current_setting('server_version'), current_setting('max_connections')::int,
                   count(*), count(*) FILTER (WHERE datname = current_database()),
                   count(*) FILTER (WHERE state = 'active'), count(*) FILTER (WHERE state LIKE 'idle in transaction%')
            FROM pg_stat_activity WHERE backend_type = 'client backend'
            """
        )
        version, maximum, in_use, ours, active, idle_in_transaction = cursor.fetchone()
    finding.detail = {
        "version": version,
        "connect_ms": round((connected - started) * 1000, 1),
        "latency_ms": round((answered - connected) * 1000, 2),
        "connections": {
            "in_use": in_use,
            "of_this_database": ours,
            "active": active,
            "idle_in_transaction": idle_in_transaction,
            "max": maximum,
        },
    }
    if in_use > MANY_CONNECTIONS * maximum:
        finding.degrade(f"{in_use} of {maximum} connections are in use")
    return finding
