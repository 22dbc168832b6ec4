from typing import Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from accounts.models import Library, User
from accounts.roles import Permission
from photos.models import Photo


class UploadWay(models.TextChoices):
    """How the bytes of an upload come in."""

    TUS = "tus", _("resumable")
    DIRECT = "direct", _("straight to the bucket")


class UploadState(models.TextChoices):
    """How far an upload is. Only an open one takes bytes."""

    OPEN = "open", _("open")
    COMPLETE = "complete", _("complete")
    REFUSED = "refused", _("refused")
    # given up by whoever made it, or left for too long: its bytes go, and then its row
    ENDED = "ended", _("ended")


class UploadQuerySet(models.QuerySet["Upload"]):
    """Reads of uploads."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Those that `user` made, in libraries where they may upload: nobody else knows of them."""
        if not user.is_authenticated:
            return self.none()
        return self.filter(owner=user.pk, library__in=Library.objects.permitting(user, Permission.UPLOAD_PHOTOS))

    def in_libraries_of(self, user: User | AnonymousUser, permission: str) -> Self:
        """Those of everybody, in libraries where `user` holds a permission; all for whoever runs the installation."""
        if user.is_authenticated and user.runs_installation:
            return self.all()
        libraries = Library.objects.permitting(user, permission) & Library.objects.visible_to(user)
        return self.filter(library__in=libraries)

    def taking_bytes(self) -> Self:
        """Those that are open and have time left."""
        return self.filter(state=UploadState.OPEN, expires_at__gt=Now())

    def abandoned(self) -> Self:
        """Those that are over: given up, left for too long, or of a library or an account that is gone.

        One whose bytes are being written at this moment is not.
        """
        late = Q(state=UploadState.OPEN, expires_at__lte=Now()) & (Q(lease_until=None) | Q(lease_until__lte=Now()))
        orphaned = Q(library=None) | Q(owner=None) | Q(library__erasure_requested_at__isnull=False)
        return self.filter(Q(state=UploadState.ENDED) | late | orphaned)

    def stranded(self) -> Self:
        """Open ones whose last byte is in, and which nobody is taking in: whoever was has died, or failed."""
        idle = Q(lease_until=None) | Q(lease_until__lte=Now())
        return self.taking_bytes().filter(idle, offset=F("length"))


class Upload(models.Model):
    """A file that comes in by more than one request; at the end it is a photo, or it is known why not.

    The row is committed before the first byte is stored and goes after the last one is deleted, so that the bytes of no
    upload are forgotten. `offset` is the truth about how many there are. Times are the database's.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # without either it is over, and waits for its bytes to be deleted
    library = models.ForeignKey(
        Library, verbose_name=_("library"), null=True, on_delete=models.SET_NULL, related_name="uploads"
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("made by"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="uploads",
    )
    way = models.CharField(_("way"), max_length=8, choices=UploadWay.choices)
    filename = models.CharField(_("file name"), max_length=255, blank=True)
    # the protocol's header as it came, which it is told again
    metadata = models.TextField(blank=True, editable=False)
    length = models.PositiveBigIntegerField(_("length in bytes"))
    offset = models.PositiveBigIntegerField(_("bytes that are there"), default=0)
    state = models.CharField(_("state"), max_length=8, choices=UploadState.choices, default=UploadState.OPEN)
    photo = models.ForeignKey(Photo, null=True, blank=True, on_delete=models.CASCADE, related_name="uploads")
    error_code = models.CharField(_("error"), max_length=64, blank=True)
    error_detail = models.TextField(_("what was wrong"), blank=True)
    error_extra = models.JSONField(default=dict, blank=True, editable=False)
    # what `photos.storage.uploads` keeps of where the bytes lie; empty: nothing lies anywhere
    stored = models.JSONField(default=dict, blank=True, editable=False)
    # who writes or takes in at this moment; one that is past its end may be taken over
    lease_token = models.UUIDField(null=True, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)
    expires_at = models.DateTimeField(_("expires"))

    objects = UploadQuerySet.as_manager()

    class Meta:
        verbose_name = _("upload")
        verbose_name_plural = _("uploads")
        constraints = [
            # an empty file is refused at the door
            models.CheckConstraint(condition=Q(length__gt=0), name="upload_length_positive"),
            # nobody writes behind the end
            models.CheckConstraint(condition=Q(offset__lte=F("length")), name="upload_offset_within_length"),
            # a lease without an end would lock an upload for ever
            models.CheckConstraint(
                condition=Q(lease_token=None, lease_until=None)
                | Q(lease_token__isnull=False, lease_until__isnull=False),
                name="upload_lease_has_end",
            ),
            # whoever lost the answer is told the photo
            models.CheckConstraint(
                condition=Q(state=UploadState.COMPLETE, photo__isnull=False, offset=F("length"))
                | (~Q(state=UploadState.COMPLETE) & Q(photo=None)),
                name="upload_complete_has_photo",
            ),
            # whoever lost the refusal is told why
            models.CheckConstraint(
                condition=(Q(state=UploadState.REFUSED) & ~Q(error_code=""))
                | (~Q(state=UploadState.REFUSED) & Q(error_code="")),
                name="upload_refused_has_code",
            ),
        ]
        indexes = [
            # what is over is found by its time
            models.Index(fields=["expires_at"], name="upload_expires"),
            # an account's open uploads are counted before another one begins
            models.Index(fields=["owner"], name="upload_open", condition=Q(state=UploadState.OPEN)),
        ]

    def __str__(self) -> str:
        return f"{self.filename or 'upload'} ({self.id})"

    @property
    def has_all_bytes(self) -> bool:
        """Whether the last byte is in."""
        return self.offset == self.length
