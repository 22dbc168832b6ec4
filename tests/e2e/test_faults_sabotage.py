"""The fault harness can fail: with any of the four things that keep a run single switched off, a fault goes red."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from faults.failing import TRIALS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SEED = 7
ZEROS = {"lost": 0, "doubled": 0, "wrong": 0, "stuck": 0, "leaked": 0}


def test_whatever_is_switched_off_a_fault_goes_red(tmp_path: Path) -> None:
    # the harness brings services and settings of its own
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "DATABASE_"))}
    with (tmp_path / "output").open("w") as output:
        done = subprocess.run(
            [sys.executable, "-m", "faults", "--sabotage", "--seed", str(SEED), "--folder", str(tmp_path / "run")],
            cwd=settings.BASE_DIR,
            env=inherited | {"PYTHONPATH": str(settings.BASE_DIR / "tests")},
            stdout=output,
            stderr=output,
            check=False,
        )
    said = (tmp_path / "output").read_text()
    trials = {
        trial["switched_off"]: trial
        for trial in json.loads((tmp_path / "run" / "sabotage-run" / "sabotage.json").read_text())
    }
    assert list(trials) == list(TRIALS) == ["fencing", "reconciler", "counting", "unique"], said
    for trial in trials.values():
        control, sabotaged = trial["control"], trial["sabotaged"]
        assert (control["passed"], control["counts"]) == (True, ZEROS), said
        assert control["times"] > 0, said
        assert sabotaged["times"] == control["times"], said
        # red by what was switched off, and not because the harness stumbled
        assert not sabotaged["passed"] or sabotaged["counts"] != ZEROS, said
        assert sabotaged["troubles"] == [], said
        assert trial["is_right"], said
    assert trials["fencing"]["sabotaged"]["counts"]["doubled"] > 0, said
    assert trials["reconciler"]["sabotaged"]["counts"]["stuck"] > 0, said
    assert trials["unique"]["sabotaged"]["counts"]["doubled"] > 0, said
    assert "0 counted wrong" in trials["counting"]["control"]["figure"], said
    assert "0 counted wrong" not in trials["counting"]["sabotaged"]["figure"], said
    assert done.returncode == 0, said
