"""Starting, finding and stopping PostgreSQL and Redis below one VAR_DIR."""

import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from config.embedded import placement, postgres, redis_server
from config.embedded.errors import EmbeddedServiceError
from config.embedded.state import ServerState, State, load_state, locked, save_state, services_folder

POSTGRES = "postgres"
REDIS = "redis"
ENGINES = {POSTGRES: postgres, REDIS: redis_server}


@dataclass(frozen=True, kw_only=True)
class Services:
    """Addresses with passwords; None where that server does not run.

    `started` names the servers that this very call started: whoever started a server stops it.
    """

    database_url: str | None
    redis_url: str | None
    started: frozenset[str] = frozenset()


def start(var_dir: Path, *, only: Collection[str] = (POSTGRES, REDIS)) -> Services:
    """Start what does not run yet and attach to what does; returns when both accept connections.

    Two calls at once are safe: the second waits for the first and attaches. `only` limits the start to one
    server, for a machine that has the other. Raises EmbeddedServiceError.
    """
    folder = services_folder(var_dir)
    _make_folder(folder)
    with locked(folder):
        state = load_state(folder)
        where, state = _prepare(folder, state)
        save_state(folder, state)  # the passwords, before any server is given them
        started = set()
        for name in only:
            server = getattr(state, name)
            if not ENGINES[name].is_running(where.folder, server):
                ENGINES[name].start(where, server)
                started.add(name)
                save_state(folder, state)
        return _addresses(where.folder, state, started=frozenset(started))


def running(var_dir: Path) -> Services | None:
    """Give the addresses of the servers that run; None where neither does, or they are another user's.

    Cheap (a small file and two process look-ups), takes no lock, starts nothing.
    """
    folder = services_folder(var_dir)
    state = load_state(folder)
    if state is None:
        return None
    services = _addresses(_data_folder(folder, state), state)
    return services if services.database_url or services.redis_url else None


def data_folder(var_dir: Path) -> Path | None:
    """Give the folder of the servers' data; None where none were ever started."""
    folder = services_folder(var_dir)
    state = load_state(folder)
    return _data_folder(folder, state) if state else None


def stop(var_dir: Path, *, only: Collection[str] = (POSTGRES, REDIS)) -> frozenset[str]:
    """Stop the servers of this VAR_DIR and give the names of those that ran; the data stays."""
    folder = services_folder(var_dir)
    state = load_state(folder)
    if state is None:
        return frozenset()
    with locked(folder):
        state = load_state(folder) or state
        data = _data_folder(folder, state)
        stopped = frozenset(name for name in only if ENGINES[name].is_running(data, getattr(state, name)))
        for name in only:
            ENGINES[name].stop(data, getattr(state, name))
        save_state(folder, state)
        return stopped


def remove(var_dir: Path) -> None:
    """Stop the servers and delete their data, wherever it lies."""
    folder = services_folder(var_dir)
    for data in (folder, *placement.folders_outside(folder)):
        for engine in ENGINES.values():
            engine.stop(data, ServerState())
        if data.exists():
            shutil.rmtree(data)


def _make_folder(folder: Path) -> None:
    """Make VAR_DIR/services, or see that it is ours. Root's can be passed through: see placement."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if not folder.exists():
            mode = 0o711 if os.geteuid() == 0 else 0o700
            folder.mkdir(mode=mode, exist_ok=True)
            folder.chmod(mode)  # mkdir's mode is cut by the umask
    except PermissionError as error:
        raise EmbeddedServiceError(f"VAR_DIR cannot be written: {error}") from None
    if not os.access(folder, os.W_OK):
        raise EmbeddedServiceError(f"{folder} belongs to another user: run this as that user, or set VAR_DIR")


def _prepare(folder: Path, state: State | None) -> tuple[placement.Placement, State]:
    """Decide where the data lies; without a state file, take over or set aside what lies there already."""
    known = state is not None
    state = state or State()
    where = placement.place(folder, remembered=Path(state.place) if state.place else None)
    outside = where.folder != folder
    state.place = str(where.folder) if outside else None
    if not known:
        for engine in ENGINES.values():  # the state file may have been deleted under running servers
            engine.stop(where.folder, ServerState())
        if outside:
            placement.set_aside(where.folder)
        postgres.reset_password(where, state.postgres)
    return where, state


def _data_folder(folder: Path, state: State) -> Path:
    return Path(state.place) if state.place else folder


def _addresses(data: Path, state: State, *, started: frozenset[str] = frozenset()) -> Services:
    return Services(
        database_url=postgres.url(state.postgres) if postgres.is_running(data, state.postgres) else None,
        redis_url=redis_server.url(state.redis) if redis_server.is_running(data, state.redis) else None,
        started=started,
    )
