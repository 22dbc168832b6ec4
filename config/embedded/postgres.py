"""The embedded PostgreSQL: its own programs driven directly, reached over TCP on the loopback interface."""

import shutil
import signal
import time
from pathlib import Path

import psutil
import psycopg2

from config.embedded.errors import EmbeddedServiceError
from config.embedded.placement import Placement
from config.embedded.processes import (
    LOOPBACK,
    end_process,
    find_servers,
    free_port,
    last_lines,
    run_program,
    serves,
)
from config.embedded.state import ServerState

ROLE = "darkroom"
DATABASE = "darkroom"

START_ATTEMPTS = 8
START_SECONDS = 60  # recovery after a crash reads the write-ahead log again
STOP_SECONDS = 60

PASSING_REASONS = (
    "Address already in use",  # the port was taken between choosing and binding it
    "pre-existing shared memory block",  # the last children of a killed postmaster are still ending
)

SERVER_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # a socket's path may have 107 bytes, and VAR_DIR's may be longer
    "shared_buffers": "256MB",
    "max_connections": "200",  # web threads, pool children and the tests' own, without a pooler
    # /dev/shm is 64 MB in a container, and systemd empties it when its user logs out
    "dynamic_shared_memory_type": "mmap",
    "jit": "off",  # our queries are short: compiling one costs more than running it
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}


def data_folder(placement: Placement) -> Path:
    """Give the cluster's folder."""
    return placement.folder / "postgres"


def _log(placement: Placement) -> Path:
    return placement.folder / "logs" / "postgresql.log"


def is_running(placement_folder: Path, state: ServerState) -> bool:
    """Tell whether the process that we recorded still serves the data below this folder."""
    return serves(state.pid, placement_folder / "postgres")


def url(state: ServerState) -> str:
    """Give the address with its password, as DATABASE_URL has it."""
    return f"postgresql://{ROLE}:{state.password}@{LOOPBACK}:{state.port}/{DATABASE}"


def start(placement: Placement, state: ServerState) -> None:
    """Start the server and make its database where there is none; fills in the port and the process id.

    Raises EmbeddedServiceError with the end of the server's log where it does not start.
    """
    data = data_folder(placement)
    if not (data / "PG_VERSION").is_file():
        _initialise(placement, state)
    _forget_reused_process_id(data)
    found = _recorded(data)
    if found is None or not serves(found[0], data):
        _launch(placement, state)
        found = _recorded(data)
    if found is None:
        raise EmbeddedServiceError(f"PostgreSQL on {data} ended at once:\n{last_lines(_log(placement))}")
    state.pid, state.port = found
    _make_database(state)


def stop(placement_folder: Path, state: ServerState) -> None:
    """Stop the server: sessions are ended, what is committed is on the disk."""
    data = placement_folder / "postgres"
    for process in find_servers(data, program="postgres"):
        # SIGINT is PostgreSQL's "fast" shutdown: SIGTERM would wait for every session to leave by itself
        if not end_process(process, by=signal.SIGINT, patience=STOP_SECONDS):
            raise EmbeddedServiceError(f"PostgreSQL on {data} does not stop")
    state.pid = None


def reset_password(placement: Placement, state: ServerState) -> None:
    """Give the role the password in `state`, for data whose state file was lost. The server must not run."""
    data = data_folder(placement)
    if not (data / "PG_VERSION").is_file():
        return
    _forget_reused_process_id(data)
    finished = run_program(
        [placement.postgres_programs / "postgres", "--single", "-D", data, "postgres"],
        account=placement.account,
        directory=data,
        standard_input=f"ALTER ROLE {ROLE} PASSWORD '{state.password}'\n",
    )
    if finished.returncode != 0:
        raise EmbeddedServiceError(f"PostgreSQL's data in {data} cannot be opened:\n{finished.stdout}")


def _initialise(placement: Placement, state: ServerState) -> None:
    """Make the cluster beside its place and move it there whole: an interrupted initdb leaves no half one."""
    building = placement.folder / "postgres.new"
    shutil.rmtree(building, ignore_errors=True)
    placement.make_private(building)
    logs = placement.make_private(placement.folder / "logs")
    password = placement.write_private(logs / "password", state.password)
    try:
        finished = run_program(
            [
                placement.postgres_programs / "initdb",
                f"--pgdata={building}",
                f"--username={ROLE}",
                f"--pwfile={password}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                # PostgreSQL's own collation: sorts alike on every machine, whatever its C library
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
            ],
            account=placement.account,
            directory=building,
        )
    finally:
        password.unlink()
    if finished.returncode != 0:
        raise EmbeddedServiceError(f"initdb failed:\n{finished.stdout}")
    building.rename(data_folder(placement))


def _launch(placement: Placement, state: ServerState) -> None:
    """Run pg_ctl until the server accepts connections.

    More than one attempt where the reason may pass.
    """
    data, log = data_folder(placement), _log(placement)
    placement.make_private(log.parent)
    for attempt in range(1, START_ATTEMPTS + 1):
        log.unlink(missing_ok=True)  # one log per start: it cannot grow for ever
        state.port = free_port(state.port)
        options = {"port": str(state.port), **SERVER_SETTINGS}
        finished = run_program(
            [
                placement.postgres_programs / "pg_ctl",
                "start",
                "--wait",
                f"--timeout={START_SECONDS}",
                f"--pgdata={data}",
                f"--log={log}",
                "--options=" + " ".join(f"-c {name}={value}" for name, value in options.items()),
            ],
            account=placement.account,
            directory=data,
        )
        if finished.returncode == 0:
            return
        reason = last_lines(log)
        if attempt == START_ATTEMPTS or not any(passing in reason for passing in PASSING_REASONS):
            raise EmbeddedServiceError(f"PostgreSQL does not start:\n{finished.stdout}\n{reason}")
        time.sleep(1)


def _recorded(data: Path) -> tuple[int, int] | None:
    """Read the process id and the port that a postmaster wrote; None where it never ran or stopped in order.

    The file's lines: process id, data folder, start time, port, and what we do not need.
    """
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        return int(lines[0]), int(lines[3])
    except (FileNotFoundError, IndexError, ValueError):
        return None


def _forget_reused_process_id(data: Path) -> None:
    """Drop a postmaster.pid whose process id is now another program's, or a zombie's.

    PostgreSQL would take any process of its own user under that id for a running server and refuse to start.
    A dead id is left to it. Without the file it cannot see that children of the dead server still write, so
    those (all work in the data folder) are ended first.
    """
    found = _recorded(data)
    if found is None or not psutil.pid_exists(found[0]) or serves(found[0], data):
        return
    for process in psutil.process_iter(["name", "cwd"]):
        if process.info["name"] == "postgres" and process.info["cwd"] == str(data):
            end_process(process, patience=STOP_SECONDS)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _make_database(state: ServerState) -> None:
    """Make the database where there is none; waits while a server that was found is still recovering."""
    address = url(state).rsplit("/", 1)[0] + "/postgres"
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            connection = psycopg2.connect(address, connect_timeout=5)
            break
        except psycopg2.OperationalError as error:
            if "starting up" not in str(error) or time.monotonic() > deadline:
                raise EmbeddedServiceError(f"PostgreSQL does not answer: {error}") from None
            time.sleep(0.2)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
            if cursor.fetchone() is None:
                cursor.execute(f'CREATE DATABASE "{DATABASE}"')
    finally:
        connection.close()
