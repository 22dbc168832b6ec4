"""The wheel, installed into an environment of its own that has nothing but what the wheel says it needs."""

import importlib.metadata
import os
import re
import subprocess
import sys
import venv
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import Requirement

SECONDS = 120


@dataclass
class Command:
    """The installed command: its programs, and the environment in which it is run."""

    bin: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """Begin `darkroom ARGUMENTS`."""
        return subprocess.Popen(
            [self.bin / "darkroom", *map(str, arguments)],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run `darkroom ARGUMENTS` to its end; whatever came of it, it is told without a traceback."""
        done = subprocess.run(
            [self.bin / "darkroom", *map(str, arguments)],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            # without a terminal, on which a password would be asked for
            start_new_session=True,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def python(self, script: str, *arguments: object) -> str:
        """Run Python with the package, and give what it prints."""
        done = subprocess.run(
            [self.bin / "python", "-W", "error", "-c", script, *map(str, arguments)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def install(wheel: Path, folder: Path) -> Path:
    """Make an environment with the wheel, and of the packages here those that it needs, theirs too; give its programs.

    Nothing is fetched: what the wheel forgets to ask for is not there.
    """
    venv.create(folder, with_pip=False)
    programs = folder / "bin"
    command = ["pip", "install", "--quiet", "--offline", "--no-deps", "--python", programs / "python", wheel]
    subprocess.run([Path(sys.executable).parent / "uv", *command], check=True, env=os.environ | {"VIRTUAL_ENV": ""})
    [packages] = folder.glob("lib/python3*/site-packages")
    [metadata] = packages.glob("darkroom_client-*.dist-info/METADATA")
    needed = re.findall(r"^Requires-Dist: (.+)$", metadata.read_text(), re.MULTILINE)
    for name in _closure(needed):
        for top in {Path(file).parts[0] for file in importlib.metadata.files(name) or ()} - {".."}:
            source = Path(str(importlib.metadata.distribution(name).locate_file(top)))
            if source.exists() and not (packages / top).exists():
                (packages / top).symlink_to(source)
    return programs


def _closure(requirements: list[str]) -> set[str]:
    """Name the distributions that requirements ask for, and those that these ask for; each as new as it has to be."""
    found: set[str] = set()
    open_ones = [Requirement(one) for one in requirements]
    while open_ones:
        one = open_ones.pop()
        if one.marker is not None and not one.marker.evaluate({"extra": ""}):
            continue
        distribution = importlib.metadata.distribution(one.name)
        assert one.specifier.contains(distribution.version), one
        if one.name not in found:
            found.add(one.name)
            open_ones += [Requirement(text) for text in distribution.requires or ()]
    return found
