"""A slice of the fault harness: a whole Darkroom, real photos, a fixed seed, and leases of seconds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]

SEED = 7
# of faults, on an installation that serves: what `make test` may spend on them
LONGEST_SECONDS = 480
# strikes and photos, of 500 in a full run
COUNT = 40
FAULTS = (
    "child_kill",
    "worker_kill",
    "sigterm_rolling",
    "redis_wipe",
    "postgres_restart",
    "duplicate_delivery",
)


def test_a_slice_of_the_faults_loses_nothing(tmp_path: Path) -> None:
    # the harness brings services and settings of its own
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "DATABASE_"))}
    arguments = ["--faults", ",".join(FAULTS), "--seed", str(SEED), "--count", str(COUNT), "--short"]
    with (tmp_path / "output").open("w") as output:
        done = subprocess.run(
            [sys.executable, "-m", "faults", *arguments, "--folder", str(tmp_path / "run")],
            cwd=settings.BASE_DIR,
            env=inherited | {"PYTHONPATH": str(settings.BASE_DIR / "tests")},
            stdout=output,
            stderr=output,
            check=False,
        )
    said = (tmp_path / "output").read_text()
    assert done.returncode == 0, said
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert [result["name"] for result in results] == list(FAULTS), said
    for result in results:
        assert result["times"] > 0, result
        assert result["counts"] == {"lost": 0, "doubled": 0, "wrong": 0, "stuck": 0, "leaked": 0}, result
        assert result["passed"], result
        assert result["dead"] == 0, result
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["aftermath"]["is_right"], said
    assert run["not_run"] == {}, said
    assert run["seconds"] <= LONGEST_SECONDS, said
