"""What happens to exports that are over: their files are deleted, and the row says why there are none."""

from collections.abc import Collection, Iterable
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from photos.models import Export, ExportFile, ExportState, ObjectSweep, WithdrawReason
from photos.services import object_sweeps


@transaction.atomic
def withdraw_holding(*, photo_ids: Collection[UUID]) -> int:
    """Withdraw exports that hold, or are about to hold, photos that are deleted for good; gives how many.

    Call it in the transaction that deletes them: an export that is finished at the same moment is waited for.
    """
    holding = Export.objects.live().filter(photo_ids__overlap=list(photo_ids))
    return len(_end(holding, state=ExportState.WITHDRAWN, reason=WithdrawReason.PHOTO_ERASED))


@transaction.atomic
def withdraw(*, export_id: UUID, reason: WithdrawReason) -> bool:
    """Withdraw an export; False where it is over."""
    return bool(_end(Export.objects.live().filter(pk=export_id), state=ExportState.WITHDRAWN, reason=reason))


@transaction.atomic
def expire(*, limit: int) -> int:
    """Let up to `limit` exports go whose time is over; gives how many."""
    ids = list(Export.objects.over().order_by("pk").values_list("pk", flat=True)[:limit])
    return len(_end(Export.objects.over().filter(pk__in=ids), state=ExportState.EXPIRED))


@transaction.atomic
def delete(*, exports: QuerySet[Export]) -> int:
    """Delete exports with their files, in whatever state; gives how many."""
    ids = _locked(exports)
    _delete_files(ids)
    Export.objects.filter(pk__in=ids).delete()
    return len(ids)


def _end(exports: QuerySet[Export], **values: str) -> list[UUID]:
    ids = _locked(exports)
    _delete_files(ids)
    Export.objects.filter(pk__in=ids).update(**values)
    return ids


def _locked(exports: QuerySet[Export]) -> list[UUID]:
    # looked at as they are when they are locked: one may just have been finished, with more files than before
    locked = exports.order_by("pk").select_for_update(of=("self",), no_key=False)
    return list(locked.values_list("pk", flat=True))


def _delete_files(export_ids: Iterable[UUID]) -> None:
    files = ExportFile.objects.filter(export__in=list(export_ids))
    named = list(files.values_list("storage_alias", "storage_key"))
    object_sweeps.request_all(sweeps=named, reason=ObjectSweep.Reason.EXPORT)
    files.delete()
