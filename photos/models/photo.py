from typing import Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from accounts.models import Library, User
from accounts.roles import Permission


class PhotoQuerySet(models.QuerySet["Photo"]):
    """Reads of photos; every one that serves a user starts with `visible_to`."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Photos that `user` may see: the one visibility rule. Those in the trash are not among them.

        Nor are those of a library that is being erased: nobody is let into it.
        """
        if user.is_authenticated and user.runs_installation:
            # the few that are left out, not the many that are let in: no join over all photos
            return self.present().exclude(library__in=Library.objects.filter(erasure_requested_at__isnull=False))
        return self.present().filter(library__in=Library.objects.visible_to(user))

    def in_trash_of(self, user: User | AnonymousUser) -> Self:
        """Photos in the trash of the libraries in which `user` may bring them back, and see them then."""
        libraries = Library.objects.permitting(user, Permission.TRASH_PHOTOS) & Library.objects.visible_to(user)
        return self.filter(trashed_at__isnull=False, library__in=libraries)

    def present(self) -> Self:
        """Photos that are not in the trash."""
        return self.filter(trashed_at__isnull=True)


class Photo(models.Model):
    """An uploaded image. Its original is immutable and lies under a key that is never used twice."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    library = models.ForeignKey(Library, on_delete=models.PROTECT, related_name="photos")
    uploader = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="uploaded_photos",
    )
    original_filename = models.CharField(_("file name"), max_length=255, blank=True)
    sha256 = models.CharField(_("SHA-256"), max_length=64, editable=False)
    byte_size = models.BigIntegerField(_("size in bytes"), editable=False)
    image_format = models.CharField(_("format"), max_length=8, editable=False)
    mime_type = models.CharField(_("media type"), max_length=64, editable=False)
    width = models.PositiveIntegerField(_("width, upright, in pixels"), editable=False)
    height = models.PositiveIntegerField(_("height, upright, in pixels"), editable=False)
    storage_alias = models.CharField(max_length=32, editable=False)
    # in a source it is a path, with the photo's id before it
    storage_key = models.CharField(max_length=1100, editable=False)
    thumbhash = models.BinaryField(null=True, editable=False)
    perceptual_hash = models.BigIntegerField(null=True, editable=False)
    uploaded_at = models.DateTimeField(_("uploaded"), default=timezone.now, editable=False)
    trashed_at = models.DateTimeField(_("moved to the trash"), null=True, editable=False)

    objects = PhotoQuerySet.as_manager()

    class Meta:
        verbose_name = _("photo")
        verbose_name_plural = _("photos")
        constraints = [
            # the same bytes are one photo of a library, also when two uploads race
            models.UniqueConstraint(fields=["library", "sha256"], name="photo_library_sha256_unique"),
            # two photos never share an object: deleting one may not take the other's bytes
            models.UniqueConstraint(fields=["storage_alias", "storage_key"], name="photo_storage_key_unique"),
            models.CheckConstraint(condition=Q(sha256__regex="^[0-9a-f]{64}$"), name="photo_sha256_is_hex"),
            # an empty file is refused at the door
            models.CheckConstraint(condition=Q(byte_size__gt=0), name="photo_byte_size_positive"),
            models.CheckConstraint(condition=Q(width__gt=0, height__gt=0), name="photo_dimensions_positive"),
        ]
        indexes = [
            # a library's photos, newest first: UUIDv7 keys are ordered by time
            models.Index(fields=["library", "-id"], name="photo_library_newest"),
            models.Index(fields=["trashed_at"], name="photo_trashed", condition=Q(trashed_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.original_filename or 'photo'} ({self.id})"
