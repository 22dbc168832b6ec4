"""The harness must be able to fail: each of the four things that keep a run single, switched off from outside.

A file in the run's folder says which one is off, and every process asks it at every call.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

FENCING, UNIQUE, RECONCILER, COUNTING = "fencing", "unique", "reconciler", "counting"
# of the constraints the one that two clients can be made to run into
UNIQUE_CONSTRAINT = ("photos_photo", "photo_library_sha256_unique")

_FOLDER = "sabotage"


class Sabotage:
    """The harness's side: the switches."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / _FOLDER
        self._folder.mkdir(parents=True, exist_ok=True)

    def switch(self, what: str, *, off: bool) -> None:
        """Switch one of them off, or on again."""
        marker = self._folder / what
        marker.touch() if off else marker.unlink(missing_ok=True)

    def is_off(self, what: str) -> bool:
        """Tell whether it is switched off at this moment."""
        return (self._folder / what).exists()


def install(folder: Path, wrap: Callable[[Any, str, Callable[..., Any]], None]) -> None:
    """Put the switches into this process."""
    from processing import ledger, tasks

    switches = Sabotage(folder)

    def without_fence(mark: Callable[..., Any], lease: Any, **keywords: Any) -> Any:
        """Commit as whoever holds the run now, or as if somebody still did."""
        if not switches.is_off(FENCING):
            return mark(lease, **keywords)
        return _mark_unfenced(mark, lease, **keywords)

    def without_reconciler(reconcile: Callable[..., Any], **keywords: Any) -> Any:
        return False if switches.is_off(RECONCILER) else reconcile(**keywords)

    def without_tending(tend: Callable[..., Any]) -> Any:
        return {} if switches.is_off(RECONCILER) else tend()

    def without_count(claim: Callable[..., Any], **keywords: Any) -> Any:
        leases = claim(**keywords)
        if leases and switches.is_off(COUNTING):
            _uncount(leases)
        return leases

    wrap(ledger, "mark_done", without_fence)
    wrap(tasks, "reconcile_once", without_reconciler)
    wrap(tasks, "tend_once", without_tending)
    wrap(ledger, "claim", without_count)


def _mark_unfenced(mark: Callable[..., Any], lease: Any, **keywords: Any) -> Any:
    from dataclasses import replace
    from uuid import uuid4

    from django.db.models.functions import Now

    token = uuid4()
    rows = lease.ledger.objects.filter(pk=lease.run_id)
    rows.update(
        state="running", lease_token=token, lease_until=Now(), started_at=Now(), finished_at=None, skip_reason=""
    )
    return mark(replace(lease, token=token), **keywords)


def _uncount(leases: list[Any]) -> None:
    from django.db.models import F

    for lease in leases:
        lease.ledger.objects.filter(pk=lease.run_id, lease_token=lease.token).update(attempt=F("attempt") - 1)
