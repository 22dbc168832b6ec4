"""Writes of shares: the links that show photos to people without an account."""

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypedDict
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from accounts.access import require
from accounts.digests import digest
from accounts.models import AuditAction, User
from accounts.problems import ConflictError, InvalidValueError, NotFoundError
from accounts.roles import Permission
from accounts.services import audit
from gallery.models import Share, SharedPhoto
from gallery.models.share import MAX_PHOTOS, PASSWORD_MAX_LENGTH, PASSWORD_MIN_LENGTH
from photos.models import Photo

TOKEN_BYTES = 32


class ShareIsRevokedError(ConflictError):
    """A share that was revoked stays so; nothing about it changes any more."""

    code = "share_is_revoked"


class ShareChanges(TypedDict, total=False):
    """What may be changed of a share; what is missing stays. An empty password asks for none."""

    title: str
    password: str
    expires_at: datetime | None
    show_metadata: bool
    allow_originals: bool


@transaction.atomic
def create_share(*, by: User, photo_ids: Sequence[UUID], options: ShareChanges) -> tuple[Share, str]:
    """Share photos of one library, in this order; gives the share, and its token, which nobody can be told again.

    Raises NotFoundError if one of them is not there for `by`, NotPermittedError without `photos.share`, or without
    `originals.download` where originals are allowed, and InvalidValueError.
    """
    ordered = list(dict.fromkeys(photo_ids))
    if not 1 <= len(ordered) <= MAX_PHOTOS:
        raise InvalidValueError(f"A share has 1 to {MAX_PHOTOS} photos.", field="photos")
    # locked, so that none of them is deleted for good before its row here is committed
    visible = Photo.objects.visible_to(by).filter(pk__in=ordered).order_by("pk")
    libraries = set(visible.select_for_update(no_key=True).values_list("library_id", "pk"))
    if len(libraries) != len(ordered):
        raise NotFoundError("A photo is not there, or you may not see it.")
    library_ids = {library_id for library_id, _ in libraries}
    if len(library_ids) > 1:
        raise InvalidValueError("The photos of a share are of one library.", field="photos")
    library_id = library_ids.pop()
    require(by, Permission.SHARE_PHOTOS, library_id=library_id)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    share = Share(library_id=library_id, created_by=by, token_sha256=digest(token))
    _set(share, by, options)
    share.save(force_insert=True)
    SharedPhoto.objects.bulk_create(
        SharedPhoto(share=share, photo_id=photo_id, position=position) for position, photo_id in enumerate(ordered, 1)
    )
    audit.record(
        action=AuditAction.SHARE_CREATED,
        actor=by,
        library_id=library_id,
        subject=share,
        details={"photos": len(ordered), **_told(share)},
    )
    return share, token


@transaction.atomic
def change_share(*, share_id: UUID, by: User, changes: ShareChanges) -> Share:
    """Change a share; another password locks out those who opened it with the one before.

    Raises NotFoundError, NotPermittedError, InvalidValueError and ShareIsRevokedError.
    """
    share = Share.objects.visible_to(by).select_for_update(no_key=True).filter(pk=share_id).first()
    if share is None:
        raise NotFoundError("There is no such share.")
    if share.revoked_at is not None:
        raise ShareIsRevokedError("The share has been revoked. Make another one.")
    if not changes:
        return share
    _set(share, by, changes)
    share.save(update_fields=[*changes])
    audit.record(
        action=AuditAction.SHARE_CHANGED,
        actor=by,
        library_id=share.library_id,
        subject=share,
        details={"changed": sorted(changes), **_told(share)},
    )
    return share


@transaction.atomic
def revoke_shares(*, share_ids: Iterable[UUID], by: User) -> int:
    """Let links open nothing any more, from this commit on; gives how many did until now. Others are left out.

    Of those that `by` may not see none is touched.
    """
    shares = Share.objects.visible_to(by).filter(pk__in=list(share_ids), revoked_at__isnull=True).order_by("pk")
    revoked = list(shares.select_for_update(no_key=True))
    Share.objects.filter(pk__in=[share.pk for share in revoked]).update(revoked_at=Now())
    for share in revoked:
        audit.record(action=AuditAction.SHARE_REVOKED, actor=by, library_id=share.library_id, subject=share)
    return len(revoked)


def note_view(*, share_id: UUID) -> None:
    """Count one look at a share: one statement, and a lock on its row for as long as that takes."""
    Share.objects.filter(pk=share_id).update(view_count=F("view_count") + 1, last_viewed_at=Now())


@transaction.atomic
def note_original(*, share: Share, photo_id: UUID) -> None:
    """Write into the trail that an original was downloaded by a link."""
    audit.record(
        action=AuditAction.ORIGINAL_DOWNLOADED,
        library_id=share.library_id,
        subject=share,
        details={"photo": str(photo_id)},
    )


def _set(share: Share, by: User, changes: ShareChanges) -> None:
    # of a link that gives originals nobody takes the password or the end away who could not give them
    if changes.get("allow_originals", share.allow_originals):
        require(by, Permission.DOWNLOAD_ORIGINALS, library_id=share.library_id)
    expires_at = changes.get("expires_at")
    if expires_at is not None and expires_at <= timezone.now():
        raise InvalidValueError("It would have expired already.", field="expires_at")
    password = changes.get("password")
    if password and not PASSWORD_MIN_LENGTH <= len(password) <= PASSWORD_MAX_LENGTH:
        told = f"A password has {PASSWORD_MIN_LENGTH} to {PASSWORD_MAX_LENGTH} characters."
        raise InvalidValueError(told, field="password")
    for name, value in changes.items():
        setattr(share, name, value)
    if password:
        share.password = make_password(password)
    share.full_clean()


def _told(share: Share) -> dict[str, object]:
    """Give what the trail says of a share; neither its title nor its password."""
    return {
        "has_password": share.has_password,
        "expires_at": None if share.expires_at is None else share.expires_at.isoformat(),
        "show_metadata": share.show_metadata,
        "allow_originals": share.allow_originals,
    }
