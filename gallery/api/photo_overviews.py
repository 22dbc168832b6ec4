"""Photos as counts: by facet, by day, on the map; of what the same filters keep as in the list."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.access import Seeing
from accounts.api.problems import problems
from accounts.problems import COMBINATION
from accounts.roles import Permission
from gallery.api.filter_fields import BoxField
from photos.models import Person
from photos.search import counts, facets
from photos.search.places import Box

WORLD = Box(-180, -90, 180, 90)
ZOOM_MAX = 22
# cells of one answer: a box of some screens' size at its zoom
CELLS_AT_MOST = 65_536


class CameraCountSerializer(serializers.Serializer):
    """Output: photos of a camera."""

    camera_make = serializers.CharField()
    camera_model = serializers.CharField()
    count = serializers.IntegerField()


class LensCountSerializer(serializers.Serializer):
    """Output: photos taken through a lens."""

    lens = serializers.CharField()
    count = serializers.IntegerField()


class MonthCountSerializer(serializers.Serializer):
    """Output: photos of a month."""

    year = serializers.IntegerField()
    month = serializers.IntegerField()
    count = serializers.IntegerField()


class PlaceCountSerializer(serializers.Serializer):
    """Output: photos of a place."""

    country_code = serializers.CharField()
    country = serializers.CharField()
    region = serializers.CharField()
    city = serializers.CharField()
    count = serializers.IntegerField()


class NamedCountSerializer(serializers.Serializer):
    """Output: photos of a person, or with a tag."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    count = serializers.IntegerField()


class FacetsSerializer(serializers.Serializer):
    """Output: counts of the photos that the filters keep."""

    cameras = CameraCountSerializer(many=True)
    lenses = LensCountSerializer(many=True)
    months = MonthCountSerializer(many=True, help_text="On the camera's clock, all of them, the latest first.")
    places = PlaceCountSerializer(many=True)
    people = NamedCountSerializer(many=True)
    tags = NamedCountSerializer(many=True)
    is_estimated = serializers.BooleanField(
        help_text="There are so many photos that counts are estimated from a sample; what few have may be missing."
    )


class DayCountSerializer(serializers.Serializer):
    """Output: photos of a day."""

    date = serializers.DateField(allow_null=True, help_text="On the camera's clock; null: no time is known.")
    count = serializers.IntegerField()


class TimelineSerializer(serializers.Serializer):
    """Output: the days that have photos."""

    days = DayCountSerializer(many=True)


class PointSerializer(serializers.Serializer):
    """Output: a point of GeoJSON."""

    type = serializers.ChoiceField(choices=["Point"])
    coordinates = serializers.ListField(
        child=serializers.FloatField(), min_length=2, max_length=2, help_text="Longitude, latitude."
    )


class ClusterPropertiesSerializer(serializers.Serializer):
    """Output: what a point stands for."""

    count = serializers.IntegerField()
    photo = serializers.UUIDField(help_text="One of the photos.")


class ClusterSerializer(serializers.Serializer):
    """Output: photos that lie close to each other at this zoom."""

    type = serializers.ChoiceField(choices=["Feature"])
    geometry = PointSerializer()
    properties = ClusterPropertiesSerializer()


class MapSerializer(serializers.Serializer):
    """Output: GeoJSON (RFC 7946)."""

    type = serializers.ChoiceField(choices=["FeatureCollection"])
    features = ClusterSerializer(many=True)


class ZoomSerializer(serializers.Serializer):
    """Input: how near the map is."""

    zoom = serializers.IntegerField(
        min_value=0, max_value=ZOOM_MAX, help_text=f"0 to {ZOOM_MAX}, as maps on the web count it."
    )


class OverviewsMixin:
    """Counts of what the filters keep."""

    access = dict.fromkeys(("facets", "timeline", "map"), Seeing(Permission.VIEW_PHOTOS))

    @extend_schema(
        filters=True,
        summary="Count photos by camera, lens, month, place, person and tag",
        description=f"Of what the filters keep; of each facet the {facets.VALUES_OF_A_FACET} most frequent values, "
        f"months all. Of more than about {facets.COUNTED_AT_MOST:,} photos the counts are estimates from a sample "
        "(`is_estimated`).",
        tags=["search"],
        responses={200: FacetsSerializer, **problems(400)},
    )
    @action(detail=False, pagination_class=None)
    def facets(self, request: Request) -> Response:
        """Give the counts."""
        photos = self.filter_queryset(self.get_queryset())
        found = facets.count(photos, people=Person.objects.visible_to(request.user))
        return Response(FacetsSerializer({**found.counts, "is_estimated": found.is_estimated}).data)

    @extend_schema(
        filters=True,
        summary="Count photos by day",
        description="Of what the filters keep: every day that has photos, the latest first, and last those of which no "
        "time is known.",
        tags=["search"],
        responses={200: TimelineSerializer, **problems(400)},
    )
    @action(detail=False, pagination_class=None)
    def timeline(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Give the days."""
        days = counts.by_day(self.filter_queryset(self.get_queryset()))
        return Response(TimelineSerializer({"days": days}).data)

    @extend_schema(
        filters=True,
        summary="Group photos on the map",
        description="GeoJSON: a point for the photos that lie within a quarter of a map tile's width of each other at "
        "this zoom (0: the world in one tile), at the mean of their positions; the largest groups first, at most "
        f"{counts.CLUSTERS_AT_MOST}. Without `bbox` the world. A box that is too large for the zoom is refused.",
        tags=["search"],
        parameters=[ZoomSerializer],
        responses={200: MapSerializer, **problems(400)},
    )
    @action(detail=False, pagination_class=None)
    def map(self, request: Request) -> Response:
        """Give the groups."""
        given = ZoomSerializer(data=request.query_params)
        given.is_valid(raise_exception=True)
        zoom = given.validated_data["zoom"]
        photos = self.filter_queryset(self.get_queryset())
        # the filter has refused what is none
        box = BoxField(required=False).clean(request.query_params.get("bbox")) or WORLD
        _refuse_too_many_cells(box, zoom)
        features = [_feature(one) for one in counts.clusters(photos, box=box, zoom=zoom)]
        return Response(MapSerializer({"type": "FeatureCollection", "features": features}).data)


def _refuse_too_many_cells(box: Box, zoom: int) -> None:
    width = box.east - box.west if box.west <= box.east else box.east - box.west + 360
    size = 360 / 2**zoom / counts.CELLS_PER_TILE
    if width / size * ((box.north - box.south) / size) > CELLS_AT_MOST:
        raise ValidationError({"bbox": "Too large for this zoom: ask for what a screen shows."}, code=COMBINATION)


def _feature(cluster: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [cluster["mean_longitude"], cluster["mean_latitude"]]},
        "properties": {"count": cluster["count"], "photo": cluster["photo"]},
    }
