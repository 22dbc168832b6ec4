"""Who may write to an upload at this moment. All times are the database's, and no transaction is held open meanwhile.

A lease ends by itself, so that a server that died locks nothing for ever; and it is asked for again at every commit, so
that one that lost it without knowing commits nothing.
"""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from processing.models import Upload, UploadState
from processing.problems import UploadEndedError, UploadLockedError

logger = logging.getLogger(__name__)

# of silence: a client whose connection hangs comes again before its patience ends, and finds the upload free. Longer
# than two attempts at one of the store's answers would do no harm, and keep everybody else waiting
WRITING = timedelta(seconds=15)
# reading all of a large file takes longer without a sign of life; two who take in the same bytes do no harm
FINISHING = timedelta(seconds=60)

ENDED = "The upload was ended, or has expired. Begin another one."


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write to an upload. `was_abandoned`: the holder before never let go, and may be alive."""

    upload_id: UUID
    token: UUID
    duration: timedelta
    was_abandoned: bool


@transaction.atomic
def take(*, upload_id: UUID, duration: timedelta = WRITING) -> tuple[Lease, Upload]:
    """Take an open upload; gives the lease, and the upload as it is.

    Raises UploadLockedError where somebody has it, UploadEndedError where it is over. One that is complete or refused
    is nobody's to take: UploadLockedError too, after which it is looked at again.
    """
    locked = Upload.objects.select_for_update(of=("self",)).filter(pk=upload_id)
    upload = locked.select_related("library").annotate(now=Now()).first()
    if upload is None or upload.state == UploadState.ENDED or _is_orphaned(upload):
        raise UploadEndedError(ENDED)
    if upload.state != UploadState.OPEN or (upload.lease_until is not None and upload.lease_until > upload.now):
        raise UploadLockedError("Another request is at work on this upload. Try again in a moment.")
    if upload.expires_at <= upload.now:
        raise UploadEndedError(ENDED)
    lease = Lease(upload_id, uuid4(), duration, was_abandoned=upload.lease_token is not None)
    upload.lease_token, upload.lease_until = lease.token, upload.now + duration
    upload.save(update_fields=["lease_token", "lease_until"])
    return lease, upload


def commit(lease: Lease, **values: Any) -> None:
    """Write into the row that bytes have come in: the lease begins anew, and so does the time until the upload expires.

    Raises UploadEndedError or UploadLockedError where the lease is lost: nothing is written then.
    """
    keep(lease, expires_at=Now() + timedelta(seconds=settings.UPLOAD_EXPIRES_SECONDS), **values)


def keep(lease: Lease, **values: Any) -> None:
    """Begin a lease anew, and write into the row what is no progress; raises as `commit` does."""
    _write(lease, lease_until=Now() + lease.duration, **values)


def prolong(lease: Lease) -> Lease:
    """Make a lease for writing one for taking in; raises as `commit` does."""
    longer = replace(lease, duration=FINISHING)
    keep(longer)
    return longer


def finish(lease: Lease, **values: Any) -> None:
    """Write the last word into the row, and let go; raises as `commit` does."""
    _write(lease, lease_token=None, lease_until=None, **values)


def lose(lease: Lease) -> UploadEndedError:
    """End an upload whose bytes are not there any more, and give the error that says so; raises as `commit` does."""
    logger.error("bytes of upload %s are lost", lease.upload_id)
    finish(lease, state=UploadState.ENDED, expires_at=Now())
    return UploadEndedError("Bytes of the upload are lost. Begin another one.")


def release(lease: Lease) -> None:
    """Let go; where the lease is lost there is nothing to let go of."""
    held = Upload.objects.filter(pk=lease.upload_id, lease_token=lease.token)
    held.update(lease_token=None, lease_until=None)


def _is_orphaned(upload: Upload) -> bool:
    is_leaving = upload.library is None or upload.library.erasure_requested_at is not None
    return is_leaving or upload.owner_id is None


def _write(lease: Lease, **values: Any) -> None:
    held = Upload.objects.filter(
        pk=lease.upload_id, lease_token=lease.token, state=UploadState.OPEN, library__isnull=False, owner__isnull=False
    )
    if held.update(**values):
        return
    there = Upload.objects.filter(pk=lease.upload_id, library__isnull=False, owner__isnull=False)
    if there.exclude(state=UploadState.ENDED).exists():
        raise UploadLockedError("Another request has taken this upload over. Ask where it goes on.")
    raise UploadEndedError(ENDED)
