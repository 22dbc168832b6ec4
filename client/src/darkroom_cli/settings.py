"""Which server, and with which key: from the environment, else from a file that its owner alone may read."""

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from darkroom_cli.problems import DarkroomError

URL, KEY = "DARKROOM_URL", "DARKROOM_API_KEY"


class ConfigurationError(DarkroomError):
    """What is needed is not said, or is not safe."""

    code = "not_configured"
    exit_status = 2


@dataclass(frozen=True, slots=True)
class Settings:
    """The address of a Darkroom, and a key of it."""

    url: str
    key: str


def config_file() -> Path:
    """Name the file."""
    return _base("XDG_CONFIG_HOME", ".config") / "darkroom" / "config.json"


def state_folder() -> Path:
    """Name the folder of uploads under way."""
    return _base("XDG_STATE_HOME", ".local/state") / "darkroom" / "uploads"


def load() -> Settings:
    """Read the settings; the environment goes before the file. Raises ConfigurationError."""
    kept = _kept() if not (os.environ.get(URL) and os.environ.get(KEY)) else {}
    url, key = os.environ.get(URL) or kept.get("url"), os.environ.get(KEY) or kept.get("api_key")
    if not url or not key:
        missing = " and ".join(name for name, value in ((URL, url), (KEY, key)) if not value)
        raise ConfigurationError(f"Nothing says which Darkroom, or with which key: `darkroom login`, or set {missing}")
    if url != kept.get("url") and key == kept.get("api_key"):
        # a key is shown to nobody but the server that it is of
        raise ConfigurationError(f"{URL} names another server than the key in {config_file()} is of: set {KEY} too")
    return Settings(checked_url(url), key)


def save(settings: Settings) -> Path:
    """Keep the settings, whole or not at all, for the owner's eyes."""
    file = config_file()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = file.with_name(f"{file.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as output:
        json.dump({"url": settings.url, "api_key": settings.key}, output, indent=1)
    new.replace(file)
    return file


def checked_url(url: str) -> str:
    """Give the address as the client wants it. Raises ConfigurationError."""
    try:
        parts = urlsplit(url.strip())
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise ConfigurationError(f"{url} is no address: it begins with https:// or http://")
    if parts.username is not None or parts.query or parts.fragment:
        raise ConfigurationError("The address has no name, password, query or fragment in it")
    return url.strip().rstrip("/").removesuffix("/api/v1")


def is_in_clear(url: str) -> bool:
    """Tell whether what is sent to an address can be read on the way."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}


def _kept() -> dict[str, str]:
    file = config_file()
    try:
        with file.open() as opened:
            mode = os.fstat(opened.fileno()).st_mode
            kept = json.load(opened)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}") from error
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise ConfigurationError(f"{file} has a key in it, and others may read it: chmod 600 {file}")
    if not isinstance(kept, dict) or not all(isinstance(one, str) for one in kept.values()):
        raise ConfigurationError(f"{file} is not as `darkroom login` writes it")
    return kept


def _base(variable: str, otherwise: str) -> Path:
    named = os.environ.get(variable, "")
    # the XDG specification has relative ones ignored
    return Path(named) if Path(named).is_absolute() else Path.home() / otherwise
