"""What an import counts."""

from collections.abc import Mapping
from typing import Any

from processing.models import FileState

FILES, BYTES = "files", "bytes"
PASSED_OVER = "passed_over"
SIDECARS, SIDECARS_REFUSED = "sidecars", "sidecars_refused"
REFUSED_BY = "refused_by"

# the count of each state, in the plural where it is a noun
NAME_OF = {
    FileState.ADDED: "added",
    FileState.DUPLICATE: "duplicates",
    FileState.UNCHANGED: "unchanged",
    FileState.CHANGED: "changed",
    FileState.REFUSED: "refused",
    FileState.MISSING: "missing",
}
# in the order in which they are shown
NAMES = (FILES, *NAME_OF.values(), PASSED_OVER, SIDECARS, SIDECARS_REFUSED, BYTES)

Counts = dict[str, Any]


def complete(counts: Mapping[str, Any]) -> Counts:
    """Give counts with what is not there yet: zeros, and `refused_by`, the refusals by their code."""
    return {**dict.fromkeys(NAMES, 0), REFUSED_BY: {}, **counts}


def plus(counts: Mapping[str, Any], more: Mapping[str, int], refused: Mapping[str, int]) -> Counts:
    """Give counts that are higher by `more`, and by refusals, given by their code."""
    by = counts[REFUSED_BY]
    summed = {**counts, **{name: counts[name] + number for name, number in more.items()}}
    return {**summed, REFUSED_BY: {**by, **{code: by.get(code, 0) + number for code, number in refused.items()}}}
