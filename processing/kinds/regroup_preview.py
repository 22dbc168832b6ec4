"""Kind `regroup_preview`: what regrouping a library would change, computed where groupings are computed."""

import time
from uuid import UUID

from django.db import transaction

from processing import ledger
from processing.kinds.base import Ended, Held, Kind
from processing.services import grouping, regrouping


class RegroupPreviewKind(Kind):
    """Reads what a grouping reads, and changes nobody's faces. The run's report is the diff in numbers."""

    name = regrouping.KIND
    queue = regrouping.QUEUE

    def known_versions(self) -> list[str]:
        """The one of this code: what is asked for says itself by which rule."""
        return [regrouping.VERSION]

    def attempt(self, held: Held) -> Ended:
        """Compute what is asked for."""
        lease, started = held.lease, time.monotonic()
        made = regrouping.perform(lease.subject_id)
        spent = time.monotonic() - started
        with transaction.atomic():
            if isinstance(made, grouping.NothingToDo):
                ledger.mark_skipped(lease, reason=made.reason, work_seconds=spent)
                return Ended.SKIPPED
            numbers = {name: value for name, value in made.report.items() if isinstance(value, int)}
            ledger.mark_done(lease, work_seconds=spent, report=numbers)
            # another one that was asked for meanwhile is asked for again by the end of this run
            made.write()
        return Ended.DONE

    def request_if_due(self, library_id: UUID) -> None:
        """Ask again, if another one was asked for while the run was open."""
        if regrouping.is_due(library_id):
            regrouping.request(library_id=library_id)

    def request_where_due(self) -> int:
        """Ask wherever something is to be computed."""
        return regrouping.request_where_due()
