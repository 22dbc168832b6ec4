from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from photos.models.photo import Photo


class Sidecar(models.Model):
    """What a file beside a photo says of it: written by a photo tool (XMP), or by Google Takeout.

    `values` has `title` and `caption` (texts), `keywords` and `people` (lists of texts), `rating` (-1 to 5), `taken_at`
    (ISO 8601 with an offset; a wall clock of an unknown zone as if it were UTC, as in Metadata), `latitude` and
    `longitude` (WGS 84 degrees, both or neither) and `favourite` (true or false); null, "" or [] where it is silent.
    Names in `people` are text and no more: nobody is found by them.
    """

    class Kind(models.TextChoices):
        """Who writes such files."""

        XMP = "xmp", _("XMP")
        TAKEOUT = "takeout", _("Google Takeout")

    photo = models.OneToOneField(Photo, primary_key=True, on_delete=models.CASCADE, related_name="sidecar")
    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices)
    # the name of the source, a colon and the path below it
    path = models.CharField(_("path"), max_length=1100)
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    values = models.JSONField(_("values"))
    read_at = models.DateTimeField(_("read"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("sidecar")
        verbose_name_plural = _("sidecars")

    def __str__(self) -> str:
        return f"sidecar of {self.photo_id}"
