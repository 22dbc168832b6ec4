"""The environment, which is read in this package and nowhere else.

Every variable may also be given as NAME_FILE, the path of a file with the value, as container secrets are.
"""

import os
from pathlib import Path

import environ
from environ.fileaware_mapping import FileAwareMapping

BASE_DIR = Path(__file__).resolve().parents[2]


class _Variables(FileAwareMapping):
    """Values without the line break that every editor puts at the end of a secret's file."""

    def __getitem__(self, key: str) -> str:
        value: str = super().__getitem__(key)
        return value.strip()


class _Environment(environ.Env):
    ENVIRON = _Variables()


env = _Environment()

# a developer's own settings; the tests set the name to nothing, so that they cannot depend on them
env_file = os.environ.get("DARKROOM_ENV_FILE", str(BASE_DIR / ".env"))
if env_file and Path(env_file).is_file():
    env.read_env(env_file, overwrite=False)


def path(name: str, default: Path | None) -> Path | None:
    """Read a path; a relative one starts at the repository's root, and an empty one is the default."""
    value = env.str(name, default="")
    return (BASE_DIR / Path(value).expanduser()).resolve() if value else default


# everything that a running Darkroom writes, unless a setting below sends it elsewhere
VAR_DIR = path("VAR_DIR", BASE_DIR / "var")
