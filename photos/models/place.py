from django.db import models
from django.utils.translation import gettext_lazy as _

from photos.models.photo import Photo


class PhotoPlace(models.Model):
    """The names of where a photo was taken: of the nearest town that the geocoder knows, `distance_km` away.

    `latitude` and `longitude` are the position that was asked for.
    """

    photo = models.OneToOneField(Photo, primary_key=True, on_delete=models.CASCADE, related_name="place")
    version = models.CharField(_("version of the stage that found it"), max_length=96)
    latitude = models.FloatField(_("latitude"))
    longitude = models.FloatField(_("longitude"))
    country_code = models.CharField(_("country's code"), max_length=2)
    country = models.CharField(_("country"), max_length=128, blank=True)
    region = models.CharField(_("region"), max_length=128, blank=True)
    city = models.CharField(_("city"), max_length=128, blank=True)
    distance_km = models.FloatField(_("distance in km"))

    class Meta:
        verbose_name = _("place")
        verbose_name_plural = _("places")

    def __str__(self) -> str:
        return f"place of {self.photo_id}"
