"""Counts of what was found: by day, and on the map."""

from collections.abc import Iterator
from typing import Any

from django.db.models import Aggregate, Avg, Count, F, FloatField, QuerySet, Value
from django.db.models.functions import Cast, Floor

from photos.models import Photo
from photos.search.places import Box

CLUSTERS_AT_MOST = 5000
# cells of a quarter of a map tile's width: markers that do not overlap
CELLS_PER_TILE = 4


class AnyValue(Aggregate):
    """One of the values, whichever is at hand."""

    function = "ANY_VALUE"


def by_day(photos: QuerySet[Photo]) -> list[dict[str, Any]]:
    """Count photos by the day on the camera's clock, the latest first; last those without a time, as `date` None."""
    days = photos.order_by().values(date=F("taken_on")).annotate(count=Count("*"))
    return list(days.order_by(F("date").desc(nulls_last=True)))


def clusters(photos: QuerySet[Photo], *, box: Box, zoom: int) -> Iterator[dict[str, Any]]:
    """Group the photos within a box by cells of the map at a zoom level (0: the world on one tile, 256 px wide).

    Gives of each cell the `count`, the mean `latitude` and `longitude`, and one `photo` of it; the largest first, and
    CLUSTERS_AT_MOST of them.
    """
    size = 360 / 2**zoom / CELLS_PER_TILE
    cells = {f"cell_{name}": Floor(Cast(F(name), FloatField()) / Value(size)) for name in ("latitude", "longitude")}
    grouped = photos.order_by().filter(box.holds()).annotate(**cells).values(*cells)
    counted = grouped.annotate(
        count=Count("*"), mean_latitude=Avg("latitude"), mean_longitude=Avg("longitude"), photo=AnyValue("pk")
    )
    yield from counted.order_by("-count", *cells)[:CLUSTERS_AT_MOST]
