"""The nearest town, on a sphere."""

import numpy as np
import pytest

from processing.engines import geocoding


def names(*positions: tuple[float, float], within_km: float = 100) -> list[tuple[str, str] | None]:
    found = geocoding.find_places(np.array(positions, dtype=float).reshape(-1, 2), within_km=within_km)
    return [one and (one.country_code, one.city) for one in found]


@pytest.mark.parametrize(
    ("position", "code", "country", "region", "city"),
    [
        ((46.948, 7.4474), "CH", "Switzerland", "Bern", "Bern"),
        ((-33.8688, 151.2093), "AU", "Australia", "New South Wales", "Sydney"),
        ((64.1466, -21.9426), "IS", "Iceland", "Capital Region", "Reykjavík"),
    ],
)
def test_capitals_are_named(position: tuple[float, float], code: str, country: str, region: str, city: str) -> None:
    [place] = geocoding.find_places(np.array([position]), within_km=100)

    assert place is not None
    assert (place.country_code, place.country, place.region, place.city) == (code, country, region, city)
    assert 0 <= place.distance_km < 3


def test_the_sea_and_the_pole_have_no_town() -> None:
    assert names((0, -140), (89.9, 0), (-60, 20)) == [None, None, None]


def test_neighbours_across_the_180th_meridian_are_near() -> None:
    # Taveuni's towns lie on both sides of it
    [west] = geocoding.find_places(np.array([(-16.85, 179.99)]), within_km=150)
    [east] = geocoding.find_places(np.array([(-16.85, -179.99)]), within_km=150)

    assert west is not None
    assert east is not None
    assert (west.country_code, west.city) == (east.country_code, east.city)
    assert abs(west.distance_km - east.distance_km) < 3


def test_in_the_north_degrees_of_longitude_are_short() -> None:
    """Of two towns the nearer on the ground is given, be it more degrees away: 1 degree is 23 km on Svalbard."""
    rows = geocoding.find_places(np.array([(78.3, 20.0)]), within_km=150)

    assert rows[0] is not None
    assert rows[0].city == "Longyearbyen"
    assert 90 < rows[0].distance_km < 110


def test_none_is_asked_for() -> None:
    assert names() == []
