"""What is left when nobody is going to delete anything any more.

After a fault `prove` is content with an object that no row names, as long as a sweep is going to look at it. Here the
last sweep is waited for, so that nothing is taken on trust.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import psycopg2

from faults import checking
from faults.installation import Installation

# how many are open, and seconds until the last of them
_SWEEPS = "SELECT count(*), coalesce(extract(epoch FROM max(final_at) - now()), 0)::float FROM photos_objectsweep"
# beyond its time: a sweeper that was killed has it in hand for a minute, and one that was put off comes again
SLACK_SECONDS = 120.0
MOST_FINDINGS = 20
_INCOMING = ".incoming"


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """The five counts of all that was done, `seconds` after the last fault.

    `sweeps` are those that were still open then. `unfinished` are temporary files of writers that were killed, which
    are left for a day in case their writer is only slow; no row names them, and no object has their key.
    """

    counts: Mapping[str, int]
    seconds: float
    sweeps: int
    unfinished: int
    findings: Sequence[str] = ()
    # why nobody knows
    trouble: str = ""

    @property
    def is_right(self) -> bool:
        """Whether nothing is left over, and no sweep that could still hide something."""
        return not self.sweeps and not any(self.counts.values()) and not self.trouble

    def as_dict(self) -> dict[str, Any]:
        """Give it for a file."""
        return asdict(self) | {"is_right": self.is_right}


def await_last_sweep(world: Installation, *, tell: Callable[[str], None]) -> Aftermath:
    """Wait until no sweep is open, and prove once more. What keeps it from that is said in the result."""
    started = time.monotonic()
    try:
        return _await_last_sweep(world, started, tell)
    except (RuntimeError, psycopg2.Error) as error:
        return Aftermath(
            counts=dict.fromkeys(checking.COUNTS, 0),
            seconds=time.monotonic() - started,
            sweeps=0,
            unfinished=0,
            trouble=f"{type(error).__name__}: {error}",
        )


def _await_last_sweep(world: Installation, started: float, tell: Callable[[str], None]) -> Aftermath:
    [(count, due_in)] = world.database.rows(_SWEEPS)
    tell(f"{count} sweeps are open, the last for {max(0, due_in):.0f} s.")
    deadline = started + max(0, due_in) + 4 * world.timing.sweep + SLACK_SECONDS
    while count and time.monotonic() < deadline:
        time.sleep(1)
        [(count, _)] = world.database.rows(_SWEEPS)
    verdict = checking.prove(world)
    return Aftermath(
        counts=verdict.counts,
        seconds=time.monotonic() - started,
        sweeps=count,
        unfinished=sum(1 for path in world.store_folder.glob(f"*/{_INCOMING}/*") if path.is_file()),
        findings=[str(one) for one in verdict.findings[:MOST_FINDINGS]],
    )
