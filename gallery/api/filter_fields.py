"""Values of filters that Django's forms do not know: several ids, positions, exposures. Each refuses what cannot be."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import isfinite
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field

from accounts.problems import COMBINATION
from photos.search.places import HALF_WAY_ROUND_KM, Box, Circle

# of the numbers in a text, for the API's schema
_FRACTION = r"(\.[0-9]{1,12})?"
_LATITUDE = rf"-?([0-8]?[0-9]{_FRACTION}|90)"
_LONGITUDE = rf"-?((1[0-7][0-9]|[0-9]?[0-9]){_FRACTION}|180)"
_KILOMETRES = rf"1?[0-9]{{1,4}}{_FRACTION}"
# nobody asks for more at once, and each is a condition of its own
VALUES_AT_MOST = 20
# one condition for all of them; so many leave room in a request line, of which servers take 4 KiB
HASHES_AT_MOST = 40


@extend_schema_field(OpenApiTypes.BOOL)
class StrictBooleanFilter(filters.TypedChoiceFilter):
    """`true` or `false`. The filter of the library takes anything else for "not given"."""

    def __init__(self, **kwargs: object) -> None:
        choices = (("true", "true"), ("false", "false"))
        super().__init__(choices=choices, coerce=lambda value: value == "true", **kwargs)


class RepeatedWidget(forms.MultipleHiddenInput):
    """Reads a parameter that may be given several times, of a query or of stored JSON."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str]:  # noqa: ARG002 - its signature
        """Give all values."""
        found = data.getlist(name) if hasattr(data, "getlist") else data.get(name)
        return found if isinstance(found, list) else [] if found is None else [found]


class RepeatedField(forms.Field):
    """A parameter that may be given several times; gives the values cleaned by `inner`."""

    widget = RepeatedWidget

    def __init__(self, *, inner: forms.Field, at_most: int = VALUES_AT_MOST, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner, self.at_most = inner, at_most

    def to_python(self, value: Sequence[str] | None) -> list[Any]:
        """Clean each value."""
        values = value or []
        if len(values) > self.at_most:
            raise ValidationError(f"At most {self.at_most} of them.", code="invalid")
        return [self.inner.clean(one) for one in values]


@extend_schema_field({"type": "array", "items": {"type": "string", "format": "uuid"}, "maxItems": VALUES_AT_MOST})
class RepeatedUUIDFilter(filters.Filter):
    """Several ids, as `person=ID&person=ID`: what fits all of them."""

    field_class = RepeatedField

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(inner=forms.UUIDField(), **kwargs)


@extend_schema_field({"type": "array", "items": {"type": "string", "maxLength": 255}, "maxItems": VALUES_AT_MOST})
class RepeatedTextFilter(filters.Filter):
    """Several words, as `tag=sea&tag=sky`: what fits all of them."""

    field_class = RepeatedField

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(inner=forms.CharField(max_length=255), **kwargs)


@extend_schema_field({"type": "array", "items": {"type": "string", "pattern": "^[0-9a-f]{64}$"}})
class RepeatedHashFilter(filters.Filter):
    """Several SHA-256 in hex, as `sha256=HASH&sha256=HASH`: what has any of them."""

    field_class = RepeatedField

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(inner=forms.RegexField("^[0-9a-f]{64}$"), at_most=HASHES_AT_MOST, **kwargs)

    def filter(self, qs: QuerySet, value: list[str] | None) -> QuerySet:
        """Keep what has one of them."""
        return qs.filter(**{f"{self.field_name}__in": value}) if value else qs


class NumbersField(forms.CharField, ABC):
    """Numbers with commas in between, as many as there are `ranges` (least, greatest)."""

    ranges: tuple[tuple[str, float, float], ...] = ()

    # what is meant to be given
    pattern = ""

    def to_python(self, value: str | None) -> Any:
        """Read the numbers and build what they say; None for nothing."""
        given = super().to_python(value)
        if not given:
            return None
        try:
            numbers = [float(part) for part in given.split(",")]
        except ValueError:
            numbers = []
        if len(numbers) != len(self.ranges):
            names = ",".join(name for name, *_ in self.ranges)
            raise ValidationError(f"Numbers, as {names}.", code="invalid")
        for number, (name, least, greatest) in zip(numbers, self.ranges, strict=True):
            if not least <= number <= greatest:
                raise ValidationError(f"{name} is a number from {least:g} to {greatest:g}.", code="invalid")
        return self.build(numbers)

    @abstractmethod
    def build(self, numbers: list[float]) -> Any:
        """Make of the numbers what they mean."""


class BoxField(NumbersField):
    """`west,south,east,north` in degrees, in the order of GeoJSON; west of 170 and east of -170 is across the 180th."""

    ranges = (("west", -180, 180), ("south", -90, 90), ("east", -180, 180), ("north", -90, 90))
    pattern = f"^{_LONGITUDE},{_LATITUDE},{_LONGITUDE},{_LATITUDE}$"

    def build(self, numbers: list[float]) -> Box:
        """Give the box."""
        box = Box(*numbers)
        if box.south > box.north:
            raise ValidationError("south is not greater than north.", code=COMBINATION)
        return box


class CircleField(NumbersField):
    """`lat,lon,km`."""

    ranges = (("lat", -90, 90), ("lon", -180, 180), ("km", 0, HALF_WAY_ROUND_KM))
    pattern = f"^{_LATITUDE},{_LONGITUDE},{_KILOMETRES}$"

    def build(self, numbers: list[float]) -> Circle:
        """Give the circle."""
        return Circle(*numbers)


class BoxFilter(filters.CharFilter):
    """A rectangle on the map."""

    field_class = BoxField


class CircleFilter(filters.CharFilter):
    """A circle on the ground."""

    field_class = CircleField


class QuantityField(forms.FloatField):
    """A number with a unit, also as a fraction, as exposures are written: `1/250`."""

    # of those that are a text in the schema
    pattern = r"^[0-9]{1,6}(\.[0-9]{1,9}|/[1-9][0-9]{0,8})?$"

    def to_python(self, value: str | None) -> float | None:
        """Read it."""
        text = str(value or "").strip()
        over, slash, under = text.partition("/")
        if slash and under.isascii() and under.isdecimal() and int(under[:9]) > 0:
            numerator = super().to_python(over)
            return None if numerator is None else numerator / int(under[:9])
        number = super().to_python(value)
        if number is not None and not isfinite(number):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return number


@extend_schema_field({"type": "string"})
class ExposureFilter(filters.NumberFilter):
    """Seconds, also as `1/250`."""

    field_class = QuantityField


class QuantityFilter(filters.NumberFilter):
    """A measure, as a float."""

    field_class = QuantityField
