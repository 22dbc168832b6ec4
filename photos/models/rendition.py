from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from photos.models.photo import Photo


class Rendition(models.Model):
    """An image derived from an original; its key is a pure function of (photo, kind, version)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="renditions")
    kind = models.CharField(_("kind"), max_length=32)
    version = models.CharField(_("version of the stage that made it"), max_length=96)
    storage_key = models.CharField(max_length=255)
    mime_type = models.CharField(_("media type"), max_length=64)
    width = models.PositiveIntegerField(_("width in pixels"))
    height = models.PositiveIntegerField(_("height in pixels"))
    byte_size = models.PositiveIntegerField(_("size in bytes"))
    sha256 = models.CharField(_("SHA-256"), max_length=64)

    class Meta:
        verbose_name = _("rendition")
        verbose_name_plural = _("renditions")
        constraints = [
            # a second one would be a doubled effect
            models.UniqueConstraint(fields=["photo", "kind"], name="rendition_photo_kind_unique"),
            models.CheckConstraint(condition=Q(width__gt=0, height__gt=0, byte_size__gt=0), name="rendition_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.photo_id}"
