"""Finding photos by where they were taken. Positions are WGS 84 degrees."""

from dataclasses import dataclass
from math import asin, cos, degrees, radians, sin

from django.db.models import CharField, F, FloatField, Func, Q, QuerySet, Value
from django.db.models.functions import ACos, Cos, Greatest, Least, Lower, Radians, Sin

from photos.models import Photo

# the mean radius of the IUGG
EARTH_RADIUS_KM = 6371.0088
HALF_WAY_ROUND_KM = 20_038.0


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the map; one whose `west` is greater than its `east` lies across the 180th meridian."""

    west: float
    south: float
    east: float
    north: float

    def holds(self) -> Q:
        """Give the condition for a photo within, edges included."""
        latitudes = Q(latitude__range=(self.south, self.north))
        if self.west <= self.east:
            return latitudes & Q(longitude__range=(self.west, self.east))
        return latitudes & (Q(longitude__gte=self.west) | Q(longitude__lte=self.east))


@dataclass(frozen=True, slots=True)
class Circle:
    """A point and what is within `km` of it on the ground."""

    latitude: float
    longitude: float
    km: float

    @property
    def box(self) -> Box:
        """The rectangle around it, for which there is an index.

        The widest longitudes of a circle on a sphere (Jan Philip Matuschek, "Finding points within a distance of a
        latitude/longitude using bounding coordinates").
        """
        angle = self.km / EARTH_RADIUS_KM
        south, north = self.latitude - degrees(angle), self.latitude + degrees(angle)
        if south <= -90 or north >= 90:
            return Box(-180, max(south, -90), 180, min(north, 90))
        width = degrees(asin(min(1.0, sin(angle) / cos(radians(self.latitude)))))
        west, east = self.longitude - width, self.longitude + width
        return Box(west + 360 if west < -180 else west, south, east - 360 if east > 180 else east, north)


def key(name: str) -> Func:
    """Give what a place of this name is found by, as `photos.services.shown` reckons it."""
    return Lower(Func(Value(name), function="photos_fold", output_field=CharField()))


def within(photos: QuerySet[Photo], circle: Circle) -> QuerySet[Photo]:
    """Keep the photos within a circle; annotates `distance_km`, along the ground of a sphere."""
    return photos.filter(circle.box.holds()).annotate(distance_km=_distance(circle)).filter(distance_km__lte=circle.km)


def _distance(circle: Circle) -> Func:
    """Give the great-circle distance by the spherical law of cosines; rounding may not leave the arc cosine's range."""
    here, there = radians(circle.latitude), Radians(F("latitude"))
    turned = Radians(F("longitude") - Value(circle.longitude))
    cosine = sin(here) * Sin(there) + cos(here) * Cos(there) * Cos(turned)
    return ACos(Least(Value(1.0), Greatest(Value(-1.0), cosine))) * Value(EARTH_RADIUS_KM, output_field=FloatField())
