"""The verdict: `manage.py prove` compares what was acknowledged with what is there."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from faults.installation import Installation

COUNTS = ("lost", "doubled", "wrong", "stuck", "leaked")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The five counts, and the findings behind them as `prove` describes them."""

    counts: dict[str, int]
    findings: Sequence[dict[str, Any]]

    @property
    def is_clean(self) -> bool:
        """Whether all five are zero."""
        return not any(self.counts.values())


def prove(world: Installation) -> Verdict:
    """Have the installation's own checker decide. Raises RuntimeError where it does not say."""
    done = world.manage("manage.py", "prove", "--acknowledged", str(world.acknowledged.for_prove()), "--json")
    try:
        said = json.loads(done.stdout)
        verdict = Verdict(counts={name: said["counts"][name] for name in COUNTS}, findings=said["findings"])
    except (ValueError, KeyError, TypeError) as error:
        said = f"{done.stdout[-2000:]}{done.stderr[-4000:]}"
        raise RuntimeError(f"prove ended with {done.returncode}, and said: {said}") from error
    if (done.returncode == 0) != verdict.is_clean:
        raise RuntimeError(f"prove ended with {done.returncode}, and counts {verdict.counts}")
    return verdict
