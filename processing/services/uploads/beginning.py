"""The first step of an upload: what cannot come to a good end is refused before any byte is sent."""

from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from accounts.models import Library, User
from accounts.problems import NotFoundError
from photos import storage
from photos.services import originals, quotas
from photos.storage.uploads import POSTED_BY_CLIENT, BucketParts, PresignedPost
from processing import ingest
from processing.models import Upload, UploadWay
from processing.problems import DirectUploadNotPossibleError, TooManyUploadsError


def begin(
    *,
    library: Library,
    owner: User,
    filename: str,
    length: int,
    way: UploadWay = UploadWay.TUS,
    metadata: str = "",
) -> Upload:
    """Begin an upload of `length` bytes into a library; `metadata` is kept as it is.

    Raises RefusedFileError (`empty_file`, `too_large`, `quota_exceeded`), TooManyUploadsError, and NotFoundError where
    the library or the account is being erased.
    """
    ingest.check_size(length)
    quotas.require_room(library_id=library.pk, uploader_id=owner.pk, byte_size=length)
    with transaction.atomic():
        _keep(library, owner)
        mine = Upload.objects.taking_bytes().filter(owner=owner).count()
        if mine >= settings.UPLOAD_MAX_OPEN:
            told = f"You have {mine} uploads that are not finished. Finish one, or end it."
            raise TooManyUploadsError(told, limit=settings.UPLOAD_MAX_OPEN)
        upload = Upload(
            library=library,
            owner=owner,
            way=way,
            filename=originals.clean_filename(filename),
            metadata=metadata,
            length=length,
            # bytes may be there from the moment at which the client is told where to send them
            stored=POSTED_BY_CLIENT if way == UploadWay.DIRECT else {},
            expires_at=Now() + timedelta(seconds=settings.UPLOAD_EXPIRES_SECONDS),
        )
        upload.full_clean(exclude=["expires_at", "created_at"], validate_constraints=False)
        upload.save(force_insert=True)
    return Upload.objects.get(pk=upload.pk)


def begin_direct(*, library: Library, owner: User, filename: str, length: int) -> tuple[Upload, PresignedPost]:
    """Begin an upload that a client sends to the bucket itself; gives it, and what to send where.

    Raises DirectUploadNotPossibleError where there is no bucket, and what `begin` does.
    """
    if not storage.is_in_bucket(alias=storage.ORIGINALS):
        raise DirectUploadNotPossibleError("The originals lie on a disk here. Use /api/v1/uploads.")
    upload = begin(library=library, owner=owner, filename=filename, length=length, way=UploadWay.DIRECT)
    parts = BucketParts(upload_id=upload.pk, length=length, state=upload.stored)
    return upload, parts.presign(seconds=settings.UPLOAD_DIRECT_SECONDS, byte_size=length)


def _keep(library: Library, owner: User) -> None:
    """Keep library and account from going until the row is committed, and count an account's uploads one by one.

    Raises NotFoundError where either is gone, or is to go.
    """
    with connection.cursor() as cursor:
        # the weakest lock that a deletion respects
        query = "SELECT FROM accounts_library WHERE id = %s AND erasure_requested_at IS NULL FOR KEY SHARE"
        cursor.execute(query, [library.pk])
        is_there = cursor.fetchone() is not None
    if not is_there or not User.objects.select_for_update(no_key=True).filter(pk=owner.pk).values_list("pk"):
        raise NotFoundError("The library is gone, or is being erased.")
