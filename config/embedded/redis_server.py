"""The embedded Redis: kept on disk, reached over TCP on the loopback interface alone, with a password."""

import signal
import time
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

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

PROGRAM = "redis-server"
START_ATTEMPTS = 5
START_SECONDS = 60  # a long append-only file is read before the first answer
STOP_SECONDS = 30


def _configuration(placement_folder: Path) -> Path:
    """Give the configuration file: the server is started on it, which is how its process is found again."""
    return placement_folder / "redis" / "redis.conf"


def is_running(placement_folder: Path, state: ServerState) -> bool:
    """Tell whether the process that we recorded still serves the data below this folder."""
    return serves(state.pid, _configuration(placement_folder))


def url(state: ServerState) -> str:
    """Give the address of database 0 with its password, as REDIS_URL has it."""
    return f"redis://:{state.password}@{LOOPBACK}:{state.port}/0"


def start(placement: Placement, state: ServerState) -> None:
    """Start the server; fills in the port and the process id.

    Raises EmbeddedServiceError with the end of the server's log where it does not start.
    """
    configuration = _configuration(placement.folder)
    log = placement.make_private(placement.folder / "logs") / "redis.log"
    placement.make_private(configuration.parent)
    stop(placement.folder, state)  # a second server on the same append-only file would destroy it
    said = ""
    for _ in range(START_ATTEMPTS):
        state.port = free_port(state.port)
        log.unlink(missing_ok=True)
        placement.write_private(configuration, _settings(configuration.parent, log, state))
        finished = run_program(
            [placement.redis_server, configuration], account=placement.account, directory=configuration.parent
        )
        said = finished.stdout
        if finished.returncode == 0 and _answers(configuration, state):
            state.pid = find_servers(configuration, program=PROGRAM)[0].pid
            return
    raise EmbeddedServiceError(f"Redis does not start:\n{said}\n{last_lines(log)}")


def stop(placement_folder: Path, state: ServerState) -> None:
    """Stop the server; SIGTERM makes it write what it holds."""
    for process in find_servers(_configuration(placement_folder), program=PROGRAM):
        if not end_process(process, patience=STOP_SECONDS):
            end_process(process, by=signal.SIGKILL, patience=STOP_SECONDS)
    state.pid = None


def _settings(data: Path, log: Path, state: ServerState) -> str:
    lines = {
        "bind": LOOPBACK,
        "port": str(state.port),
        "requirepass": state.password,
        "dir": f'"{data}"',
        "logfile": f'"{log}"',
        "daemonize": "yes",
        "pidfile": '""',
        "set-proc-title": "no",  # the configuration file's name stays in the command line
        "appendonly": "yes",  # a queued hint survives a restart; losing the last second's costs a sweep
        "appendfsync": "everysec",
        "save": '""',
        "maxmemory-policy": "noeviction",  # a broker may refuse, never forget
    }
    return "".join(f"{name} {value}\n" for name, value in lines.items())


def _answers(configuration: Path, state: ServerState) -> bool:
    """Wait for the first answer; False where the process ended instead (its port was taken)."""
    client = redis.Redis(
        host=LOOPBACK,
        port=state.port or 0,
        password=state.password,
        socket_timeout=5,
        retry=Retry(NoBackoff(), 0),  # the client's own back-off would turn 20 ms into seconds
    )
    deadline = time.monotonic() + START_SECONDS
    born = time.monotonic() + 2  # it forks before it reads its configuration
    try:
        while time.monotonic() < deadline:
            try:
                return bool(client.ping())
            except redis.AuthenticationError:
                return False  # somebody else's server took the port
            except (redis.ConnectionError, redis.TimeoutError):
                if time.monotonic() > born and not find_servers(configuration, program=PROGRAM):
                    return False
                time.sleep(0.02)
    finally:
        client.close()
    return False
