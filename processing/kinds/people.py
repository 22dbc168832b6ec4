"""Kind `people`: grouping the faces of a library. Computed outside of any transaction, written in one."""

import time
from uuid import UUID

from django.db import transaction

from photos.services.decisions import lock_people_of
from processing import ledger
from processing.consent import is_somebody_being_forgotten
from processing.kinds.base import Ended, Held, Kind
from processing.services import grouping


class PeopleKind(Kind):
    """Reads embeddings and writes who is who. A lease that was taken away meanwhile fences what it would write."""

    name = grouping.KIND
    queue = grouping.QUEUE

    def known_versions(self) -> list[str]:
        """Those of the rules in use: libraries may have thresholds of their own."""
        return [rule.version for rule in grouping.rules_of_all()]

    def attempt(self, held: Held) -> Ended:
        """Group one library."""
        lease, started = held.lease, time.monotonic()
        rule = grouping.rule_of(lease.subject_id)
        if rule is None and grouping.is_for_another_release():
            ledger.give_turn(lease)
            return Ended.INTERRUPTED
        if rule is not None and rule.version != lease.version:
            return _begin_anew(lease, rule)
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
            lock_people_of(lease.subject_id)
            rule = grouping.rule_of(lease.subject_id)
            if rule is None or rule.version == lease.version:
                report = made.write()
                lease.ledger.objects.filter(pk=lease.run_id).update(report=report)
                return Ended.DONE
            # a regrouping was applied meanwhile, which this would take back
            transaction.set_rollback(True)
        return _begin_anew(lease, rule)

    def request_if_due(self, library_id: UUID) -> None:
        """Ask again for what came in while the run was open; after an error it is the retry that reads it."""
        rule = grouping.rule_of(library_id)
        if rule is not None and grouping.is_due(library_id=library_id, rule=rule):
            grouping.request(library_id=library_id, model=rule.model.name)

    def request_where_due(self) -> int:
        """Ask for every library that has something no grouping has read."""
        return grouping.request_where_due()


def _begin_anew(lease: ledger.Lease, rule: grouping.Rule) -> Ended:
    """Let a run begin anew whose rule has changed since the claim: of which rule the groups are must stay true."""
    ledger.give_turn(lease)
    grouping.request(library_id=lease.subject_id, model=rule.model.name)
    return Ended.INTERRUPTED
