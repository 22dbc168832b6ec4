"""What two connections do at the same moment: work in another thread, and the moment at which it waits for a lock."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from django.db import connection

Result = TypeVar("Result")

PATIENCE_SECONDS = 10


def in_a_thread(work: Callable[..., Result], *arguments: object, **named: object) -> "Future[Result]":
    """Begin `work` in a thread with a connection of its own; `result()` waits for its end and raises its error."""
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work(*arguments, **named))
        except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
            future.set_exception(error)
        finally:
            connection.close()

    threading.Thread(target=run, daemon=True).start()
    return future


def wait_until_blocked(connections: int = 1) -> None:
    """Wait until a connection, or so many of them, wait for a lock that another one holds."""
    wait_until(lambda: _count_of_waiting() >= connections, f"fewer than {connections} wait for a lock")


def wait_until(condition: Callable[[], bool], otherwise: str) -> None:
    """Wait until something is so, for PATIENCE_SECONDS at most."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.005)


def end_connection_of_this_thread() -> None:
    """Let the database end the connection that this thread holds, as a restart of the server does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        process_id = cursor.fetchone()[0]
    in_a_thread(_terminate, process_id).result(PATIENCE_SECONDS)


def _terminate(process_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [process_id])


def _count_of_waiting() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return cursor.fetchone()[0]
