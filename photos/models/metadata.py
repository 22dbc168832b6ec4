from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from photos.models.photo import Photo


class Metadata(models.Model):
    """What the file says of itself: EXIF, and XMP and IPTC where EXIF is silent.

    `taken_at` is exact where `taken_at_offset` (minutes east of UTC) is known; otherwise it is the camera's wall
    clock read as UTC, and `taken_at_source` says so. Latitudes and longitudes are WGS 84 degrees.
    """

    photo = models.OneToOneField(Photo, primary_key=True, on_delete=models.CASCADE, related_name="metadata")
    version = models.CharField(_("version of the stage that read it"), max_length=96)
    camera_make = models.CharField(_("camera make"), max_length=128, blank=True)
    camera_model = models.CharField(_("camera model"), max_length=128, blank=True)
    lens_make = models.CharField(_("lens make"), max_length=128, blank=True)
    lens = models.CharField(_("lens"), max_length=128, blank=True)
    taken_at = models.DateTimeField(_("taken"), null=True, blank=True)
    taken_at_offset = models.SmallIntegerField(_("offset from UTC in minutes"), null=True, blank=True)
    taken_at_source = models.CharField(_("source of the time"), max_length=16, blank=True)
    exposure_time = models.FloatField(_("exposure in seconds"), null=True, blank=True)
    aperture = models.FloatField(_("f-number"), null=True, blank=True)
    iso = models.PositiveIntegerField(_("ISO"), null=True, blank=True)
    focal_length = models.FloatField(_("focal length in mm"), null=True, blank=True)
    focal_length_35mm = models.FloatField(_("35 mm equivalent in mm"), null=True, blank=True)
    flash = models.PositiveSmallIntegerField(_("EXIF flash value"), null=True, blank=True)
    flash_fired = models.BooleanField(_("flash fired"), null=True, blank=True)
    orientation = models.PositiveSmallIntegerField(_("EXIF orientation"), null=True, blank=True)
    latitude = models.FloatField(_("latitude"), null=True, blank=True)
    longitude = models.FloatField(_("longitude"), null=True, blank=True)
    altitude = models.FloatField(_("altitude in m"), null=True, blank=True)
    direction = models.FloatField(_("image direction in degrees"), null=True, blank=True)
    gps_time = models.DateTimeField(_("GPS time"), null=True, blank=True)
    software = models.CharField(_("software"), max_length=255, blank=True)
    artist = models.CharField(_("artist"), max_length=255, blank=True)
    copyright = models.CharField(_("copyright"), max_length=1000, blank=True)
    title = models.CharField(_("title"), max_length=1000, blank=True)
    description = models.TextField(_("description"), blank=True)
    keywords = ArrayField(models.CharField(max_length=255), default=list, blank=True)
    rating = models.SmallIntegerField(_("rating"), null=True, blank=True)
    tags = models.JSONField(_("all other tags"), default=dict, blank=True)
    warnings = models.JSONField(_("warnings"), default=list, blank=True)

    class Meta:
        verbose_name = _("metadata")
        verbose_name_plural = _("metadata")
        constraints = [
            # half a position is none; asked for by name, since a comparison with NULL refuses nothing
            models.CheckConstraint(
                condition=Q(latitude__isnull=True, longitude__isnull=True)
                | Q(
                    latitude__isnull=False,
                    longitude__isnull=False,
                    latitude__range=(-90, 90),
                    longitude__range=(-180, 180),
                ),
                name="metadata_position_on_earth",
            ),
            models.CheckConstraint(
                condition=Q(orientation__isnull=True) | Q(orientation__range=(1, 8)),
                name="metadata_orientation_known",
            ),
            # -1 is XMP's word for "rejected"
            models.CheckConstraint(
                condition=Q(rating__isnull=True) | Q(rating__range=(-1, 5)), name="metadata_rating_range"
            ),
        ]

    def __str__(self) -> str:
        return f"metadata of {self.photo_id}"
