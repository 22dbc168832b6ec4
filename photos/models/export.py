from typing import Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from accounts.models import Library, User
from accounts.roles import Permission

# what is put into an export, if it is not a kind of rendition
ORIGINALS = "originals"


class ExportMetadata(models.TextChoices):
    """What goes beside each photo."""

    NONE = "none", _("nothing")
    JSON = "json", _("JSON")
    XMP = "xmp", _("an XMP sidecar")
    BOTH = "both", _("JSON and an XMP sidecar")


class ExportState(models.TextChoices):
    """How an export stands. `failed` is in no row: it is a running one whose work has ended without it."""

    RUNNING = "running", _("being made")
    READY = "ready", _("ready")
    FAILED = "failed", _("failed")
    EXPIRED = "expired", _("expired")
    WITHDRAWN = "withdrawn", _("withdrawn")


class WithdrawReason(models.TextChoices):
    """Why an export was withdrawn."""

    PHOTO_ERASED = "photo_erased", _("a photo of it was deleted for good")
    NOT_PERMITTED = "not_permitted", _("whoever asked for it may not have it any more")


# of these there are, or will be, files
LIVE_STATES = (ExportState.RUNNING, ExportState.READY)
STORED_STATES = tuple(state for state in ExportState if state != ExportState.FAILED)


class ExportQuerySet(models.QuerySet["Export"]):
    """Reads of exports."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Those that `user` asked for, in libraries whose originals they may take: nobody else knows of them."""
        if not user.is_authenticated:
            return self.none()
        libraries = Library.objects.visible_to(user) & Library.objects.permitting(user, Permission.DOWNLOAD_ORIGINALS)
        return self.filter(requested_by=user.pk, library__in=libraries)

    def live(self) -> Self:
        """Those that are being made, or are ready."""
        return self.filter(state__in=LIVE_STATES)

    def over(self) -> Self:
        """Live ones whose time is over, or whose asker's account is gone."""
        return self.live().filter(Q(expires_at__lte=Now()) | Q(requested_by=None))


class Export(models.Model):
    """Photos of a library that somebody takes out of it, as zip files that are kept for a time.

    `photo_ids` are those that were asked for, in the order in which they are packed; of a ready one those that are in
    it. `position` is how many of them were gone through, `left_out` how many are missing from the files, by code.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    library = models.ForeignKey(Library, verbose_name=_("library"), on_delete=models.CASCADE, related_name="exports")
    # nobody: the account is gone, and so will be the files
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("asked for by"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="exports",
    )
    # ORIGINALS, or a kind of rendition
    content = models.CharField(_("content"), max_length=32)
    metadata = models.CharField(_("metadata"), max_length=4, choices=ExportMetadata.choices)
    photo_ids = ArrayField(models.UUIDField(), editable=False)
    photo_count = models.PositiveIntegerField(_("photos asked for"))
    position = models.PositiveIntegerField(_("photos gone through"), default=0)
    left_out = models.JSONField(_("left out"), default=dict, blank=True)
    state = models.CharField(_("state"), max_length=9, choices=ExportState.choices, default=ExportState.RUNNING)
    reason = models.CharField(_("reason"), max_length=16, choices=WithdrawReason.choices, blank=True)
    created_at = models.DateTimeField(_("asked for"), db_default=Now(), editable=False)
    finished_at = models.DateTimeField(_("made"), null=True, editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, editable=False)

    objects = ExportQuerySet.as_manager()

    class Meta:
        verbose_name = _("export")
        verbose_name_plural = _("exports")
        constraints = [
            models.CheckConstraint(condition=Q(state__in=STORED_STATES), name="export_state_known"),
            # one without an end would be kept for ever
            models.CheckConstraint(
                condition=Q(state=ExportState.RUNNING, finished_at=None, expires_at=None)
                | Q(state=ExportState.READY, finished_at__isnull=False, expires_at__isnull=False)
                | Q(state__in=(ExportState.EXPIRED, ExportState.WITHDRAWN)),
                name="export_ready_has_end",
            ),
            # whoever loses an export is told why
            models.CheckConstraint(
                condition=Q(state=ExportState.WITHDRAWN, reason__gt="")
                | (~Q(state=ExportState.WITHDRAWN) & Q(reason="")),
                name="export_withdrawn_has_reason",
            ),
            models.CheckConstraint(
                condition=Q(position__lte=models.F("photo_count")), name="export_position_within_photos"
            ),
        ]
        indexes = [
            # whoever deletes a photo for good asks which exports hold it
            GinIndex(fields=["photo_ids"], name="export_live_photos", condition=Q(state__in=LIVE_STATES)),
            models.Index(fields=["requested_by", "-id"], name="export_asker_newest"),
            models.Index(fields=["expires_at"], name="export_expires", condition=Q(state__in=LIVE_STATES)),
        ]

    def __str__(self) -> str:
        return f"export {self.pk}"


class ExportFile(models.Model):
    """A zip file of an export, whole and stored; `photo_ids` are those that are in it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    export = models.ForeignKey(Export, on_delete=models.CASCADE, related_name="files")
    # from 1
    number = models.PositiveIntegerField(_("number"))
    storage_alias = models.CharField(max_length=32, editable=False)
    storage_key = models.CharField(max_length=255, editable=False)
    byte_size = models.PositiveBigIntegerField(_("size in bytes"))
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    photo_ids = ArrayField(models.UUIDField(), editable=False)
    photo_count = models.PositiveIntegerField(_("photos"))

    class Meta:
        verbose_name = _("file of an export")
        verbose_name_plural = _("files of exports")
        constraints = [
            models.UniqueConstraint(fields=["export", "number"], name="export_file_number_unique"),
            # two files never share an object: deleting one may not take the other's bytes
            models.UniqueConstraint(fields=["storage_alias", "storage_key"], name="export_file_key_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.export_id}/{self.number}"
