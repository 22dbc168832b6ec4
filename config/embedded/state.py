"""What is remembered of the embedded services between commands: one 0600 file, and a lock."""

import contextlib
import dataclasses
import fcntl
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(kw_only=True)
class ServerState:
    """One server: the port that it had last, its password, and its process id while it runs."""

    port: int | None = None
    pid: int | None = None
    password: str = field(default_factory=lambda: secrets.token_hex(24))


@dataclass(kw_only=True)
class State:
    """Both servers. `place` is the folder of their data where that is not the folder of the state file."""

    place: str | None = None
    postgres: ServerState = field(default_factory=ServerState)
    redis: ServerState = field(default_factory=ServerState)


def services_folder(var_dir: Path) -> Path:
    """Give the folder below VAR_DIR that holds the state file and, where it can be reached, the data."""
    return Path(var_dir).expanduser().resolve() / "services"


def _state_file(folder: Path) -> Path:
    return folder / "state.json"


def load_state(folder: Path) -> State | None:
    """Read the state; None where nothing was ever started here, or where the file is another user's."""
    try:
        content = json.loads(_state_file(folder).read_text())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    return State(
        place=content["place"],
        postgres=ServerState(**content["postgres"]),
        redis=ServerState(**content["redis"]),
    )


def save_state(folder: Path, state: State) -> None:
    """Replace the state file. It holds passwords: mkstemp makes it readable by its owner alone."""
    descriptor, name = tempfile.mkstemp(dir=folder)
    with os.fdopen(descriptor, "w") as file:
        json.dump(dataclasses.asdict(state), file, indent=1)
        if os.geteuid() == 0:
            # `sudo make run` in somebody's checkout must not lock its owner out
            owner = folder.stat()
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
    Path(name).replace(_state_file(folder))


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other commands that start or stop these services waiting; the folder itself is the lock."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
