from typing import Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Case, Count, F, Q, Value, When
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from accounts.models import Library, User
from accounts.roles import Permission
from photos.models import Photo

MAX_PHOTOS = 500
# of what is typed; longer ones would only cost time to hash
PASSWORD_MIN_LENGTH, PASSWORD_MAX_LENGTH = 6, 128


class ShareState(models.TextChoices):
    """Whether a link may open something now, and if not, why."""

    OPEN = "open", _("open")
    REVOKED = "revoked", _("revoked")
    EXPIRED = "expired", _("expired")
    SHARER_INACTIVE = "sharer_inactive", _("sharer deactivated")


class ShareQuerySet(models.QuerySet["Share"]):
    """Reads of shares."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Shares that `user` may see and change: those of the libraries in which they may share photos."""
        return self.filter(library__in=Library.objects.permitting(user, Permission.SHARE_PHOTOS))

    def usable(self) -> Self:
        """Shares that may open something now, by the database's clock: not revoked, not expired, of an active sharer.

        Whether the sharer still may share is asked of `permits`.
        """
        return self.with_state().filter(state=ShareState.OPEN)

    def with_state(self) -> Self:
        """Annotate each share with its `state`, a ShareState, by the database's clock."""
        return self.annotate(
            state=Case(
                When(revoked_at__isnull=False, then=Value(ShareState.REVOKED)),
                When(expires_at__lte=Now(), then=Value(ShareState.EXPIRED)),
                When(created_by__is_active=False, then=Value(ShareState.SHARER_INACTIVE)),
                default=Value(ShareState.OPEN),
                output_field=models.CharField(),
            )
        )

    def with_photo_count(self) -> Self:
        """Annotate each share with the number of its photos, those in the trash included: `photo_count`."""
        return self.annotate(photo_count=Count("shared_photos"))


class Share(models.Model):
    """A link that shows one photo or a set to whoever has it. Its token is told once and kept as a SHA-256 alone.

    `password` is empty, or a hash by the first of PASSWORD_HASHERS. It opens no more than `created_by` may see and
    share at the moment at which somebody looks.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    library = models.ForeignKey(
        Library, verbose_name=_("library"), on_delete=models.CASCADE, related_name="shares", editable=False
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("shared by"),
        # nobody answers for what an erased account has shared
        on_delete=models.CASCADE,
        related_name="shares",
        editable=False,
    )
    photos = models.ManyToManyField(Photo, through="SharedPhoto", related_name="shares")
    title = models.CharField(_("title"), max_length=200, blank=True, help_text=_("Shown above the photos."))
    token_sha256 = models.CharField(max_length=64, unique=True, editable=False)
    password = models.CharField(max_length=256, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, editable=False)
    show_metadata = models.BooleanField(
        _("show metadata"), default=False, help_text=_("File name, time and camera. Places are never shown.")
    )
    allow_originals = models.BooleanField(
        _("allow originals"),
        default=False,
        help_text=_("Whoever has the link may download the files as they were uploaded, with all that they say."),
    )
    view_count = models.PositiveBigIntegerField(_("views"), default=0, editable=False)
    last_viewed_at = models.DateTimeField(_("last viewed"), null=True, editable=False)

    objects = ShareQuerySet.as_manager()

    class Meta:
        verbose_name = _("share")
        verbose_name_plural = _("shares")
        constraints = [
            # what is kept may not open anything, so it may not be a token by mistake
            models.CheckConstraint(condition=Q(token_sha256__regex="^[0-9a-f]{64}$"), name="share_token_is_hashed"),  # noqa: S106
            # a share that was born dead is a mistake of whoever made it
            models.CheckConstraint(
                condition=Q(expires_at__isnull=True) | Q(expires_at__gt=F("created_at")),
                name="share_expires_after_creation",
            ),
            # a share is looked at, or it has no time of it
            models.CheckConstraint(
                condition=Q(view_count=0, last_viewed_at__isnull=True)
                | Q(view_count__gt=0, last_viewed_at__isnull=False),
                name="share_viewed_has_time",
            ),
        ]
        indexes = [
            # a library's shares, newest first: UUIDv7 keys are ordered by time
            models.Index(fields=["library", "-id"], name="share_library_newest"),
        ]

    def __str__(self) -> str:
        return self.title or f"share {self.pk}"

    @property
    def has_password(self) -> bool:
        """Whether a password is asked for."""
        return bool(self.password)

    def permits(self, permission: str) -> bool:
        """Tell whether the sharer holds a permission in the library now."""
        return Library.objects.permitting(self.created_by, permission).filter(pk=self.library_id).exists()

    def shown(self) -> models.QuerySet["SharedPhoto"]:
        """Give what the link shows now, in order: photos that the sharer may see, so none that is in the trash.

        None that is hidden either, be it that the sharer sees it: whoever has the link is a visitor.
        """
        visible = Photo.objects.visible_to(self.created_by).filter(library=self.library_id, is_hidden=False)
        return self.shared_photos.filter(photo__in=visible).order_by("position")


class SharedPhoto(models.Model):
    """A photo in a share. `position`, from 1, is its place and names it in addresses: ids tell when they were made."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    share = models.ForeignKey(Share, on_delete=models.CASCADE, related_name="shared_photos")
    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="shared_photos")
    position = models.PositiveIntegerField(_("position"))

    class Meta:
        verbose_name = _("shared photo")
        verbose_name_plural = _("shared photos")
        constraints = [
            # the same photo twice is a doubled click
            models.UniqueConstraint(fields=["share", "photo"], name="shared_photo_once"),
            # an address names one photo
            models.UniqueConstraint(fields=["share", "position"], name="shared_photo_position_unique"),
            models.CheckConstraint(condition=Q(position__gt=0), name="shared_photo_position_from_one"),
        ]

    def __str__(self) -> str:
        return f"photo {self.position} of {self.share_id}"
