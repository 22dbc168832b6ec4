"""Giving uploads up: their bytes go, and then their rows."""

import logging
from collections.abc import Iterable
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from accounts.models import User
from accounts.roles import Permission
from photos.storage import uploads as stored_uploads
from processing.failures import classify
from processing.models import Upload, UploadState
from processing.problems import UploadEndedError
from processing.services.uploads import leases

logger = logging.getLogger(__name__)

_OVER = {
    "state": UploadState.ENDED,
    "photo": None,
    "error_code": "",
    "lease_token": None,
    "lease_until": None,
    "expires_at": Now(),
}


def existing(upload_id: UUID) -> Upload:
    """Read an upload; raises UploadEndedError where its row is gone, or was ended."""
    upload = Upload.objects.filter(pk=upload_id).exclude(state=UploadState.ENDED).first()
    if upload is None:
        raise UploadEndedError(leases.ENDED)
    return upload


def end(*, upload_id: UUID) -> None:
    """End an upload on behalf of whoever made it: no byte is taken any more, and those that are there go.

    A photo that it has become stays. Raises UploadEndedError where it is over already.
    """
    existing(upload_id)
    give_up(upload_id=upload_id)
    sweep_ended(Upload.objects.filter(pk=upload_id))


@transaction.atomic
def end_chosen(*, upload_ids: Iterable[UUID], by: User) -> int:
    """End open uploads, whoever made them, where `by` may have dead runs given up, too; gives how many.

    Their bytes go with the next sweep.
    """
    theirs = Upload.objects.in_libraries_of(by, Permission.RETRY_PROCESSING)
    return theirs.filter(pk__in=list(upload_ids), state=UploadState.OPEN).update(**_OVER)


def end_in_library(*, library_id: UUID) -> int:
    """End all uploads into a library that is being erased; gives how many. They keep no name, and go with a sweep."""
    uploads = Upload.objects.filter(library_id=library_id)
    return uploads.update(library=None, filename="", metadata="", error_detail="", error_extra={}, **_OVER)


def give_up(*, upload_id: UUID) -> None:
    """Let nobody write to an upload any more. Whoever does at this moment finds out at their next commit."""
    Upload.objects.filter(pk=upload_id).update(**_OVER)


def clear_bytes(*, upload_id: UUID) -> None:
    """Delete the bytes of an upload of which it is known what became; trouble of the store is left to the sweep."""
    upload = Upload.objects.filter(pk=upload_id).exclude(state=UploadState.OPEN).exclude(stored={}).first()
    if upload is None:
        return
    try:
        _clear(upload)
    except Exception as error:
        logger.exception("the bytes of upload %s stay until the next sweep (%s)", upload_id, classify(error).code)
        return
    Upload.objects.filter(pk=upload_id).update(stored={})


def sweep_ended(uploads: Iterable[Upload]) -> int:
    """Delete bytes and rows of uploads that are over; gives how many. Trouble of the store leaves them for later."""
    count = 0
    for upload in uploads:
        try:
            _clear(upload)
        except Exception as error:
            logger.exception("upload %s stays until the next sweep (%s)", upload.pk, classify(error).code)
            continue
        count += Upload.objects.filter(pk=upload.pk).delete()[0]
    return count


def _clear(upload: Upload) -> None:
    stored_uploads.parts_of(upload_id=upload.pk, length=upload.length, state=upload.stored).clear()
