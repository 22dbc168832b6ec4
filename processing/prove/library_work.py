"""Work on libraries: open runs that nothing explains, work that is open twice, groupings that nobody asked for."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from accounts.models import Library
from processing.kinds import registry as kinds
from processing.models import LibraryRun, RunState
from processing.prove.findings import Finding
from processing.prove.runs import OTHER_RELEASE, judge_claimable
from processing.prove.situation import Situation, patience
from processing.prove.tally import Tally
from processing.services import grouping

LIBRARIES_AT_ONCE = 100


class LibraryCheck:
    """The open work of every library."""

    name = "libraries"

    def __init__(self, library_id: UUID | None = None) -> None:
        self._library_id = library_id
        # since when a grouping is seen to be due
        self._due_since: dict[UUID, datetime] = {}

    def total(self) -> int:
        """Count the libraries."""
        return self._libraries().count()

    def batches(self) -> Iterator[list[UUID]]:
        """Give the libraries, some at a time."""
        ids = list(self._libraries().order_by("pk").values_list("pk", flat=True))
        for start in range(0, len(ids), LIBRARIES_AT_ONCE):
            yield ids[start : start + LIBRARIES_AT_ONCE]

    def examine(self, library_ids: Sequence[UUID], situation: Situation, tally: Tally) -> list[Finding]:
        """Judge the open runs of libraries, and look for groupings that are due."""
        runs = list(LibraryRun.objects.open().filter(library_id__in=library_ids).order_by("pk"))
        dead = LibraryRun.objects.dead().filter(library_id__in=library_ids)
        tally.dead += dead.count()
        tally.runs += len(runs)
        found = [finding for run in runs if (finding := _judge(run, situation, tally))]
        return [*found, *_twice(runs), *self._forgotten_groupings(library_ids, situation)]

    def again(self, subjects: Sequence[str], situation: Situation) -> list[Finding]:
        """Look again at libraries, given by their ids."""
        return self.examine([UUID(one) for one in subjects], situation, Tally())

    def _libraries(self) -> object:
        return Library.objects.all() if self._library_id is None else Library.objects.filter(pk=self._library_id)

    def _forgotten_groupings(self, library_ids: Sequence[UUID], situation: Situation) -> Iterator[Finding]:
        """Find libraries whose grouping is due and was not asked for within the time that the sweep needs for it."""
        rule = grouping.rule_in_use()
        if rule is None or grouping.KIND in situation.paused:
            return
        asked = LibraryRun.objects.open().filter(kind=grouping.KIND, library_id__in=library_ids)
        due = set(grouping.libraries_due(rule, among=library_ids)) - set(asked.values_list("library_id", flat=True))
        for library_id in sorted(due):
            since = self._due_since.setdefault(library_id, situation.now)
            detail = "faces that no grouping has read, and none is asked for"
            library = str(library_id)
            ripe_at = since + patience()
            yield Finding(
                self.name, library, "grouping_forgotten", detail, library=library, stage=grouping.KIND, ripe_at=ripe_at
            )


def _judge(run: LibraryRun, situation: Situation, tally: Tally) -> Finding | None:
    is_known = run.kind in kinds.names()
    if not is_known and run.state != RunState.RUNNING:
        judged = (OTHER_RELEASE, "", "") if not situation.is_overdue(run.queued_at) else _unknown(run)
    else:
        queue = kinds.get(run.kind).queue if is_known else ""
        obstacle = situation.obstacles.of_queue(queue) if is_known else ""
        judged = judge_claimable(run, situation, work=run.kind, queue=queue, obstacle=obstacle)
    explanation, code, detail = judged
    if explanation:
        tally.explained[explanation] += 1
        return None
    library = str(run.library_id)
    return Finding(
        LibraryCheck.name, library, code, f"{run.kind}: {detail}", run=str(run.pk), stage=run.kind, library=library
    )


def _unknown(run: LibraryRun) -> tuple[str, str, str]:
    return "", "unknown_work", f"{run.state}, version {run.version}"


def _twice(runs: Sequence[LibraryRun]) -> Iterator[Finding]:
    counts = Counter((run.library_id, run.kind, run.subject) for run in runs)
    for (library_id, kind, subject), count in counts.items():
        if count > 1:
            detail = f"{count} open runs of {kind} {subject}".strip()
            library = str(library_id)
            yield Finding(LibraryCheck.name, library, "library_run_twice", detail, library=library, stage=kind)
