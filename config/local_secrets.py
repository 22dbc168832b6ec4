"""Secrets of an installation that was given none: made once, kept in a 0600 file below VAR_DIR."""

import contextlib
import json
import os
import secrets
import tempfile
from pathlib import Path

NAMES = ("SECRET_KEY", "JWT_SIGNING_KEY", "INTERNAL_TOKEN")


def read_or_make(var_dir: Path) -> dict[str, str]:
    """Give the secrets by name. Processes that start together all get the ones that were there first."""
    file = var_dir / "secrets.json"
    if not file.exists():
        var_dir.mkdir(parents=True, exist_ok=True)
        descriptor, made = tempfile.mkstemp(dir=var_dir)
        with os.fdopen(descriptor, "w") as opened:
            json.dump({name: secrets.token_urlsafe(48) for name in NAMES}, opened, indent=1)
        # a link, not a rename: what another process put there meanwhile is in use already
        with contextlib.suppress(FileExistsError):
            os.link(made, file)
        Path(made).unlink()
    found: dict[str, str] = json.loads(file.read_text())
    return found
