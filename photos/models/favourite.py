from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from photos.models.photo import Photo


class Favourite(models.Model):
    """A photo that somebody marked for themselves."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="favourites")
    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="favourites")
    created_at = models.DateTimeField(_("marked"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("favourite")
        verbose_name_plural = _("favourites")
        constraints = [
            # also the index of somebody's favourites
            models.UniqueConstraint(fields=["user", "photo"], name="favourite_once"),
        ]

    def __str__(self) -> str:
        return f"{self.photo_id} of {self.user_id}"


class PhotoViews(models.Model):
    """How often a photo was looked at. A row of its own: the photo's is indexed for search, and dear to write."""

    photo = models.OneToOneField(Photo, primary_key=True, on_delete=models.CASCADE, related_name="views")
    count = models.PositiveBigIntegerField(_("views"), default=0)
    last_viewed_at = models.DateTimeField(_("last viewed"))

    class Meta:
        verbose_name = _("views of a photo")
        verbose_name_plural = _("views of photos")
        indexes = [models.Index(fields=["-count", "-photo"], name="photo_views_most")]

    def __str__(self) -> str:
        return f"{self.count} of {self.photo_id}"
