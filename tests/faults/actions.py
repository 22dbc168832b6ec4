"""What a process does to itself when an order says so."""

import builtins
import os
import signal
import subprocess
import time

import psycopg2
from django.conf import settings
from django.db import connection

from faults import orders
from faults.orders import Order

# longer than a helper takes to start: whoever waits to be killed must not go on
_UNTIL_KILLED_SECONDS = 120.0


def is_deadly(order: Order) -> bool:
    """Tell whether the process does not outlive the order."""
    return order.action in {orders.KILL_CHILD, orders.KILL_WORKER}


def carry_out(order: Order) -> None:
    """Do it now."""
    match order.action:
        case orders.KILL_CHILD:
            os.kill(os.getpid(), signal.SIGKILL)
        case orders.KILL_WORKER:
            _kill_worker()
        case orders.STOP_CHILD:
            os.kill(os.getpid(), signal.SIGSTOP)
        case orders.STOP_WORKER:
            # the parent first: it would see to it that its child keeps its time limit
            os.kill(os.getppid(), signal.SIGSTOP)
            os.kill(os.getpid(), signal.SIGSTOP)
        case orders.SLEEP:
            time.sleep(order.seconds)
        case orders.TERMINATE_BACKEND:
            _terminate_backend()
        case orders.RAISE:
            _raise(order)


def kill_from_outside(order: Order) -> None:
    """Have somebody else do it after `order.seconds`, wherever this process is then: in the middle of C code, say."""
    me, parent = os.getpid(), os.getppid()
    victims = f"kill -9 {me}"
    if order.action == orders.KILL_WORKER:
        victims = f"kill -9 {parent}; kill -9 -{os.getpgid(parent)}"
    subprocess.Popen(["/bin/sh", "-c", f"sleep {order.seconds:.3f}; {victims}"], start_new_session=True)


def wait_for_death() -> None:
    """Wait for the helper, where the work was quicker."""
    time.sleep(_UNTIL_KILLED_SECONDS)
    raise RuntimeError("nobody came to kill this process")


def _kill_worker() -> None:
    parent = os.getppid()
    group = os.getpgid(parent)
    os.kill(parent, signal.SIGKILL)  # first: it must not see its child die
    os.killpg(group, signal.SIGKILL)


def _terminate_backend() -> None:
    """End the database session that this process works with, from another one."""
    connection.ensure_connection()
    backend = connection.connection.info.backend_pid
    other = psycopg2.connect(settings.DATABASE_URL)
    try:
        with other, other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])
    finally:
        other.close()


def _raise(order: Order) -> None:
    kind = getattr(builtins, order.error)
    if order.errno:
        raise kind(order.errno, f"{os.strerror(order.errno)} (by order of the harness)")
    raise kind("by order of the harness")
