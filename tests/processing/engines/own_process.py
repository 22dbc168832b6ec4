"""Python in a process of its own: what it imports, opens and leaves behind is seen apart from the tests."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
# the rest of the suite shares the machine
PATIENCE_SECONDS = 240


def run_python(script: str | Path, *arguments: object, **environment: str) -> str:
    """Run a script, or a file of one, in a Python of its own in the repository's root; gives what it printed."""
    code = [str(script)] if isinstance(script, Path) else ["-c", script]
    done = subprocess.run(
        [sys.executable, *code, *map(str, arguments)],
        cwd=REPOSITORY,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
