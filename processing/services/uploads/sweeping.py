"""What beat does about uploads: those that were left half-way are finished or given up, and bytes that are nobody's go.

Everything may run at the same time as itself and be killed at any line.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import Library
from accounts.problems import DomainError
from accounts.roles import Permission
from photos.storage import uploads as stored_uploads
from photos.storage.uploads import Part
from processing.failures import classify
from processing.models import Upload, UploadState
from processing.services.object_sweeps import INCOMING_AGE
from processing.services.uploads import ending, finishing

logger = logging.getLogger(__name__)

AT_ONCE = 100
PARTS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did: uploads that were finished, given up, and forgotten after their time."""

    finished: int = 0
    ended: int = 0
    forgotten: int = 0


def sweep(*, seconds: float = 60) -> Swept:
    """Finish what has all its bytes, give up what is over, and forget what became of others long ago.

    Begins nothing new after so many seconds: the rest goes with the next sweep.
    """
    deadline = time.monotonic() + seconds
    finished = sum(_finish(upload) for upload in _until(deadline, Upload.objects.stranded()))
    over = Upload.objects.abandoned()
    ids = list(over.order_by("pk").values_list("pk", flat=True)[:AT_ONCE])
    for upload_id in ids:
        ending.give_up(upload_id=upload_id)
    ended = sum(ending.sweep_ended([one]) for one in _until(deadline, Upload.objects.filter(pk__in=ids)))
    known = Upload.objects.filter(state__in=[UploadState.COMPLETE, UploadState.REFUSED])
    for upload in _until(deadline, known.exclude(stored={})):
        ending.clear_bytes(upload_id=upload.pk)
    forgotten, _ = known.filter(stored={}, expires_at__lte=Now()).delete()
    return Swept(finished=finished, ended=ended, forgotten=forgotten)


def sweep_unnamed(*, written_before: datetime | None = None) -> int:
    """Delete what lies there of no upload, or of none that knows of it any more; gives how much."""
    parts, count = stored_uploads.list_parts(), 0
    while some := list(islice(parts, PARTS_AT_ONCE)):
        for part in unnamed(some):
            if written_before is None or part.modified_at < written_before:
                stored_uploads.delete_part(part)
                count += 1
    return count


def unnamed(parts: Sequence[Part]) -> list[Part]:
    """Give those of these parts that no upload needs.

    The row of an upload is there before its first byte: what is of none is nobody's, however young it is. What is of an
    open one, and not named by it, may be about to be. What was put there by somebody else, under no name of ours, is
    left alone.
    """
    ids = {part.upload_id for part in parts if part.upload_id}
    rows = {one.pk: one for one in Upload.objects.filter(pk__in=ids)}
    old = timezone.now() - INCOMING_AGE
    return [one for one in parts if one.upload_id and _is_unnamed(one, rows.get(one.upload_id), old=old)]


def _is_unnamed(part: Part, upload: Upload | None, *, old: datetime) -> bool:
    if upload is None:
        return True
    parts = stored_uploads.parts_of(upload_id=upload.pk, length=upload.length, state=upload.stored)
    if upload.state == UploadState.OPEN:
        return not parts.names(part) and part.modified_at < old
    return upload.state != UploadState.ENDED and not upload.stored


def _finish(upload: Upload) -> bool:
    permitted = Library.objects.permitting(upload.owner, Permission.UPLOAD_PHOTOS)
    if not permitted.filter(pk=upload.library_id).exists():
        return False  # not any more: it expires
    try:
        finishing.finish(upload_id=upload.pk)
    except DomainError as error:
        logger.info("upload %s was not finished: %s", upload.pk, error.detail)
        return False
    except Exception as error:
        logger.exception("upload %s is finished another time (%s)", upload.pk, classify(error).code)
        return False
    return True


def _until(deadline: float, uploads: QuerySet[Upload]) -> Iterator[Upload]:
    chosen: Iterable[Upload] = list(uploads.select_related("owner", "library").order_by("pk")[:AT_ONCE])
    for upload in chosen:
        if time.monotonic() >= deadline:
            return
        yield upload
