"""The counters of quotas, beside the sizes of the photos that they count."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from photos.services import quotas
from photos.services.quotas import Drift
from processing.prove.findings import Finding
from processing.prove.situation import Situation
from processing.prove.tally import Tally

COUNTERS_AT_ONCE = 500


class CounterCheck:
    """What libraries and users are said to use. Of one library its own counter: users have photos in others too."""

    name = "counters"

    def __init__(self, library_id: UUID | None = None) -> None:
        self._library_id = library_id

    def total(self) -> None:
        """The database compares all of them at once."""
        return

    def batches(self) -> Iterator[list[Drift]]:
        """Give the counters that are wrong, some at a time: counters and photos are read in one statement."""
        found = quotas.drifted(library_id=self._library_id)
        for start in range(0, len(found), COUNTERS_AT_ONCE):
            yield found[start : start + COUNTERS_AT_ONCE]

    def examine(self, drifts: Sequence[Drift], _situation: Situation, _tally: Tally) -> list[Finding]:
        """Say what each counted, and what there is."""
        return [_wrong(one) for one in drifts]

    def again(self, subjects: Sequence[str], _situation: Situation) -> list[Finding]:
        """Compare once more, and give those asked for."""
        wanted = set(subjects)
        found = (_wrong(one) for one in quotas.drifted(library_id=self._library_id))
        return [one for one in found if one.subject in wanted]


def _wrong(drift: Drift) -> Finding:
    subject = str(drift.subject_id)
    owner = {drift.of: subject}
    detail = f"{drift.counted:,} bytes counted, {drift.actual:,} there"
    return Finding(CounterCheck.name, f"{drift.of} {subject}", "counter_wrong", detail, **owner)
