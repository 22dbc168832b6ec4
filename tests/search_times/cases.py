"""What is asked: each filter and the usual combinations, each with values from the data, and the indexes that serve it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from django.db import connection

from accounts.models import User
from photos.models import Favourite

LIST, FACETS, TIMELINE, MAP = "photos", "photos/facets", "photos/timeline", "photos/map"
# milliseconds of the server's own time
LIMITS = {LIST: 100, FACETS: 500, TIMELINE: 500, MAP: 500}

Draw = Callable[[np.random.Generator], str]


@dataclass(frozen=True, slots=True)
class Case:
    """One way of asking; `draw` gives a query, another one each time."""

    name: str
    draw: Draw
    path: str = LIST


class Values:
    """Values of columns as photos have them: a value that many photos have is drawn often."""

    def __init__(self, user: User) -> None:
        self.samples: dict[str, list] = {}
        for name, query in _SAMPLES.items():
            with connection.cursor() as cursor:
                cursor.execute(query)
                self.samples[name] = [row[0] if len(row) == 1 else row for row in cursor.fetchall()]
        ids = (
            [row[0] for row in self.samples["ids"][:5000]]
            if self.samples["ids"] and isinstance(self.samples["ids"][0], tuple)
            else self.samples["ids"][:5000]
        )
        Favourite.objects.bulk_create([Favourite(user=user, photo_id=one) for one in ids], ignore_conflicts=True)

    def draw(self, random: np.random.Generator, name: str) -> object:
        """Draw one."""
        sample = self.samples[name]
        return sample[int(random.integers(len(sample)))]


_ROWS = "FROM photos_photo TABLESAMPLE SYSTEM (2) REPEATABLE (7) WHERE trashed_at IS NULL"
_SAMPLES = {
    "ids": f"SELECT id {_ROWS} LIMIT 20000",
    "library": f"SELECT library_id::text {_ROWS} LIMIT 2000",
    "camera_make": f"SELECT camera_make {_ROWS} LIMIT 2000",
    "camera": f"SELECT camera_make, camera_model {_ROWS} LIMIT 2000",
    "lens": f"SELECT lens {_ROWS} AND lens <> '' LIMIT 2000",
    "position": f"SELECT latitude, longitude {_ROWS} AND latitude IS NOT NULL LIMIT 2000",
    "city": f"SELECT city {_ROWS} AND city <> '' LIMIT 2000",
    "country": f"SELECT country {_ROWS} AND city <> '' LIMIT 2000",
    "taken": f'SELECT to_char(taken_at, \'YYYY-MM-DD"T"HH24:MI:SS"Z"\') {_ROWS} AND taken_at IS NOT NULL LIMIT 2000',
    "uploaded": f'SELECT to_char(uploaded_at, \'YYYY-MM-DD"T"HH24:MI:SS"Z"\') {_ROWS} LIMIT 2000',
    "person": "SELECT person_id::text FROM photos_face TABLESAMPLE SYSTEM (1) REPEATABLE (7) WHERE person_id IS NOT NULL "
    "LIMIT 2000",
    "pair": "SELECT one.person_id::text, two.person_id::text FROM photos_face AS one TABLESAMPLE SYSTEM (1) REPEATABLE (7)"
    " JOIN photos_face AS two USING (photo_id) WHERE one.person_id < two.person_id LIMIT 500",
    "tag": "SELECT tag.name FROM photos_phototag AS worn TABLESAMPLE SYSTEM (1) REPEATABLE (7)"
    " JOIN photos_tag AS tag ON tag.id = worn.tag_id LIMIT 2000",
    "word": f"SELECT split_part(caption, ' ', 1) {_ROWS} AND caption <> '' LIMIT 2000",
    "words": f"SELECT split_part(caption, ' ', 1) || ' ' || split_part(caption, ' ', 3) {_ROWS} AND caption <> '' LIMIT 2000",
    "name": "SELECT split_part(name, ' ', 2) FROM photos_person WHERE name <> '' LIMIT 2000",
    "file": f"SELECT original_filename {_ROWS} LIMIT 2000",
}


def cases(values: Values) -> list[Case]:
    """Give every case."""
    from urllib.parse import urlencode

    def given(*names: str, **fixed: object) -> Draw:
        return lambda random: urlencode([*((name, values.draw(random, name)) for name in names), *fixed.items()])

    def either(name: str, *choices: object, **fixed: object) -> Draw:
        return lambda random: urlencode({name: choices[int(random.integers(len(choices)))], **fixed})

    def camera(random: np.random.Generator) -> str:
        make, model = values.draw(random, "camera")
        return urlencode({"camera_make": make, "camera_model": model})

    def box(size: float, **fixed: object) -> Draw:
        def draw(random: np.random.Generator) -> str:
            latitude, longitude = values.draw(random, "position")
            edges = (
                max(-180, longitude - size), max(-90, latitude - size),
                min(180, longitude + size), min(90, latitude + size),
            )  # fmt: skip
            return urlencode({"bbox": ",".join(f"{edge:.4f}" for edge in edges), **fixed})

        return draw

    def near(km: float, **fixed: object) -> Draw:
        def draw(random: np.random.Generator) -> str:
            latitude, longitude = values.draw(random, "position")
            return urlencode({"near": f"{latitude:.4f},{longitude:.4f},{km}", **fixed})

        return draw

    def pair(random: np.random.Generator) -> str:
        return urlencode([("person", one) for one in values.draw(random, "pair")])

    def month(name: str, column: str) -> Draw:
        def draw(random: np.random.Generator) -> str:
            moment = str(values.draw(random, column))
            return urlencode({f"{name}_after": f"{moment[:7]}-01T00:00:00Z", f"{name}_before": moment})

        return draw

    def both(*draws: Draw) -> Draw:
        return lambda random: "&".join(draw(random) for draw in draws)

    def called(name: str, parameter: str) -> Draw:
        return lambda random: urlencode({parameter: values.draw(random, name)})

    word, words, name_of = called("word", "q"), called("words", "q"), called("name", "q")
    return [
        Case("nothing", lambda random: ""),
        *(
            Case(f"order={order}", either("order", order))
            for order in ("uploaded", "-taken", "taken", "-rating", "-views")
        ),
        Case("q: a word", word),
        Case("q: two words", words),
        Case("q: a person's name", name_of),
        Case("q: a file name", called("file", "q")),
        Case("q: a frequent word", either("q", "beach", "canon", "jpg", "apple or canon")),
        Case("q, order=-uploaded", both(word, either("order", "-uploaded"))),
        Case("library", given("library")),
        Case("camera_make", given("camera_make")),
        Case("camera_make, camera_model", camera),
        Case("lens", given("lens")),
        Case("aperture_min, aperture_max", either("aperture_min", 1, 2.8, 16, aperture_max=16)),
        Case("iso_min", either("iso_min", 100, 1600, 12800)),
        Case("iso_min: none", either("iso_min", 20000)),
        Case("focal_length_min", either("focal_length_min", 24, 85, 200)),
        Case("exposure_max", either("exposure_max", "1/4000", "1/250", "1/30")),
        Case("taken_after, taken_before", month("taken", "taken")),
        Case("uploaded_after, uploaded_before", month("uploaded", "uploaded")),
        Case("bbox: a town", box(0.05)),
        Case("bbox: a country", box(4)),
        Case("bbox: half the world", lambda random: "bbox=-20,-60,180,80"),
        Case("near: 2 km", near(2)),
        Case("near: 50 km, order=distance", near(50, order="distance")),
        Case("has_gps", either("has_gps", "true", "false")),
        Case("place: a city", called("city", "place")),
        Case("place: a country", called("country", "place")),
        Case("person", given("person")),
        Case("person, person", pair),
        Case("faces_min", either("faces_min", 1, 3, 8)),
        Case("faces_max", either("faces_max", 0, 2)),
        Case("tag", given("tag")),
        Case("tag, tag", both(given("tag"), given("tag"))),
        Case("rating_min", either("rating_min", 1, 4, 5)),
        Case("favourite", either("favourite", "true", "false")),
        Case("state", either("state", "ready", "pending", "attention", "processing")),
        Case("media_type", either("media_type", "image/jpeg", "image/heic", "image/gif")),
        Case("orientation", either("orientation", "portrait", "square")),
        Case("hidden", either("hidden", "true", "false")),
        Case("person, order=-taken", both(given("person"), either("order", "-taken"))),
        Case("tag, order=-taken", both(given("tag"), either("order", "-taken"))),
        Case("camera_make, order=-taken", both(given("camera_make"), either("order", "-taken"))),
        Case(
            "place, taken, order=-taken",
            both(called("city", "place"), month("taken", "taken"), either("order", "-taken")),
        ),
        Case("q, camera_make", both(word, given("camera_make"))),
        Case("person, taken", both(given("person"), month("taken", "taken"))),
        Case("person, tag", both(given("person"), given("tag"))),
        Case("library, tag, rating_min", both(given("library", "tag"), either("rating_min", 4))),
        Case("library, order=-taken", both(given("library"), either("order", "-taken"))),
        Case("facets", lambda random: "", FACETS),
        Case("facets: camera_make", given("camera_make"), FACETS),
        Case("facets: person", given("person"), FACETS),
        Case("facets: tag", given("tag"), FACETS),
        Case("facets: q", word, FACETS),
        Case("facets: place", called("country", "place"), FACETS),
        Case("facets: taken", month("taken", "taken"), FACETS),
        Case("timeline", lambda random: "", TIMELINE),
        Case("timeline: person", given("person"), TIMELINE),
        Case("timeline: tag", given("tag"), TIMELINE),
        Case("timeline: camera_make", given("camera_make"), TIMELINE),
        Case("map: the world", either("zoom", 1, 2, 3), MAP),
        Case("map: a country", box(4, zoom=7), MAP),
        Case("map: a town", box(0.05, zoom=13), MAP),
        Case("map: a person", both(given("person"), either("zoom", 2)), MAP),
    ]
