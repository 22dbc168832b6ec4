"""Kind `people`: grouping the faces of a library. Computed outside of any transaction, written in one."""

import time
from uuid import UUID

from django.db import transaction

from processing import ledger
from processing.consent import is_somebody_being_forgotten
from processing.kinds.base import Ended, Held, Kind
from processing.services import grouping


class PeopleKind(Kind):
    """Reads embeddings and writes who is who. A lease that was taken away meanwhile fences what it would write."""

    name = grouping.KIND
    queue = grouping.QUEUE

    def known_versions(self) -> list[str]:
        """That of the rule in use."""
        rule = grouping.rule_in_use()
        return [rule.version] if rule else []

    def attempt(self, held: Held) -> Ended:
        """Group one library."""
        lease, started = held.lease, time.monotonic()
        known = self.known_versions()
        if lease.version not in known and (known or grouping.is_for_another_release()):
            # the rule has changed since the claim: of which rule the groups are must stay true
            ledger.give_turn(lease)
            return Ended.INTERRUPTED
        made = grouping.perform(lease.subject_id)
        spent = time.monotonic() - started
        with transaction.atomic():
            if is_somebody_being_forgotten(lease.subject_id):
                # asked for since the faces were read: they are not moved from whom they are of
                made = grouping.NothingToDo(grouping.FORGETTING)
            if isinstance(made, grouping.NothingToDo):
                ledger.mark_skipped(lease, reason=made.reason, work_seconds=spent)
                return Ended.SKIPPED
            ledger.mark_done(lease, work_seconds=spent)
            report = made.write()
            lease.ledger.objects.filter(pk=lease.run_id).update(report=report)
        return Ended.DONE

    def request_if_due(self, library_id: UUID) -> None:
        """Ask again for what came in while the run was open; after an error it is the retry that reads it."""
        rule = grouping.rule_in_use()
        if rule is not None and grouping.is_due(library_id=library_id, rule=rule):
            grouping.request(library_id=library_id, model=rule.model.name)

    def request_where_due(self) -> int:
        """Ask for every library that has something no grouping has read."""
        return grouping.request_where_due()
