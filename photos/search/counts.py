"""Counts of what was found: by camera, place and time, by day, and on the map."""

from collections.abc import Iterator
from typing import Any

from django.db.models import Aggregate, Avg, Count, F, FloatField, QuerySet, Value
from django.db.models.functions import Cast, ExtractMonth, ExtractYear, Floor

from photos.models import Face, Person, Photo, PhotoTag, Tag
from photos.search.places import Box

# of each facet the most frequent values
VALUES_OF_A_FACET = 50
CLUSTERS_AT_MOST = 5000
# cells of a quarter of a map tile's width: markers that do not overlap
CELLS_PER_TILE = 4


class AnyValue(Aggregate):
    """One of the values, whichever is at hand."""

    function = "ANY_VALUE"


def by_columns(photos: QuerySet[Photo], *columns: str) -> list[dict[str, Any]]:
    """Count photos by the values of columns, the most frequent first; photos without any of them are not counted."""
    known = photos.order_by().exclude(**dict.fromkeys(columns[:1], ""))
    counted = known.values(*columns).annotate(count=Count("pk"))
    return list(counted.order_by("-count", *columns)[:VALUES_OF_A_FACET])


def by_month(photos: QuerySet[Photo]) -> list[dict[str, Any]]:
    """Count photos by the year and month on the camera's clock, the latest first; all of them, however many."""
    dated = photos.order_by().filter(taken_on__isnull=False)
    months = dated.values(year=ExtractYear("taken_on"), month=ExtractMonth("taken_on")).annotate(count=Count("pk"))
    return list(months.order_by("-year", "-month"))


def by_day(photos: QuerySet[Photo]) -> list[dict[str, Any]]:
    """Count photos by the day on the camera's clock, the latest first; last those without a time, as `date` None."""
    days = photos.order_by().values(date=F("taken_on")).annotate(count=Count("pk"))
    return list(days.order_by(F("date").desc(nulls_last=True)))


def by_tag(photos: QuerySet[Photo]) -> list[dict[str, Any]]:
    """Count photos by tag, the most frequent first."""
    worn = PhotoTag.objects.worn().filter(photo__in=photos.order_by().values("pk"))
    return _named(worn.values_list("tag").annotate(count=Count("pk")).order_by("-count", "tag"), Tag)


def by_person(photos: QuerySet[Photo], *, people: QuerySet[Person]) -> list[dict[str, Any]]:
    """Count photos by person, of those among `people`, the most frequent first."""
    shown = Face.objects.kept().filter(photo__in=photos.order_by().values("pk"), person__in=people.values("pk"))
    counted = shown.values_list("person").annotate(count=Count("photo", distinct=True))
    return _named(counted.order_by("-count", "person"), Person)


def _named(counted: QuerySet, model: type[Tag] | type[Person]) -> list[dict[str, Any]]:
    counts = dict(counted[:VALUES_OF_A_FACET])
    names = dict(model.objects.filter(pk__in=counts).values_list("pk", "name"))
    return [{"id": pk, "name": names[pk], "count": count} for pk, count in counts.items() if pk in names]


def clusters(photos: QuerySet[Photo], *, box: Box, zoom: int) -> Iterator[dict[str, Any]]:
    """Group the photos within a box by cells of the map at a zoom level (0: the world on one tile, 256 px wide).

    Gives of each cell the `count`, the mean `latitude` and `longitude`, and one `photo` of it; the largest first, and
    CLUSTERS_AT_MOST of them.
    """
    size = 360 / 2**zoom / CELLS_PER_TILE
    cells = {f"cell_{name}": Floor(Cast(F(name), FloatField()) / Value(size)) for name in ("latitude", "longitude")}
    grouped = photos.order_by().filter(box.holds()).annotate(**cells).values(*cells)
    counted = grouped.annotate(
        count=Count("pk"), mean_latitude=Avg("latitude"), mean_longitude=Avg("longitude"), photo=AnyValue("pk")
    )
    yield from counted.order_by("-count", *cells)[:CLUSTERS_AT_MOST]
