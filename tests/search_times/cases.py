"""What is asked: each filter and the usual combinations, each with values from the data."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

import numpy as np
from django.db import connection

from accounts.models import Library, User
from gallery.models import Album, AlbumPhoto
from gallery.models.album import AlbumKind
from photos.models import Favourite, Photo
from photos.models.photo import SAMPLES

LIST, FACETS, TIMELINE, MAP = "photos", "photos/facets", "photos/timeline", "photos/map"
COUNTS = frozenset({FACETS, TIMELINE, MAP})
FACES, SIMILAR = "faces/{}/similar", "photos/{}/similar"
# milliseconds of the server's own time
LIMITS = {LIST: 100, FACETS: 500, TIMELINE: 500, MAP: 500, FACES: 1000, SIMILAR: 500}
FACE_VECTORS = "face_embedding_dlib_hnsw"
FINGERPRINTS = tuple(f"fingerprint_block_{number}" for number in range(4))

Draw = Callable[[np.random.Generator], str]


@dataclass(frozen=True, slots=True)
class Case:
    """One way of asking; `draw` gives a query, another one each time, after an id where the path has a place for it.

    `by`: indexes of which each plan uses one at least.
    """

    name: str
    draw: Draw
    path: str = LIST
    by: tuple[str, ...] = ()

    def address(self, random: np.random.Generator) -> str:
        """Give an address with another value."""
        one, _, query = self.draw(random).rpartition("?")
        return f"/api/v1/{self.path.format(one)}?{query}"


class Values:
    """Values of columns as photos have them: a value that many photos have is drawn often."""

    def __init__(self, user: User) -> None:
        self.samples: dict[str, list] = {}
        for name, query in _SAMPLES.items():
            with connection.cursor() as cursor:
                cursor.execute(query)
                self.samples[name] = [row[0] if len(row) == 1 else row for row in cursor.fetchall()]
        ids = self.samples["ids"][:5000]
        Favourite.objects.bulk_create([Favourite(user=user, photo_id=one) for one in ids], ignore_conflicts=True)
        self.samples |= {"manual": [self._manual_album()], "smart": [self._smart_album()]}

    def _manual_album(self) -> str:
        """Make an album of a tenth of a library's photos, unless there is one."""
        library = Library.objects.order_by("pk").first()
        album, is_new = Album.objects.get_or_create(kind=AlbumKind.MANUAL, library=library, title="A tenth")
        if is_new:
            photos = Photo.objects.filter(library=library, trashed_at=None, sample__lt=SAMPLES // 10)
            AlbumPhoto.objects.bulk_create(
                (
                    AlbumPhoto(album=album, photo_id=photo, position=position)
                    for position, photo in enumerate(photos.values_list("pk", flat=True))
                ),
                batch_size=5000,
            )
        return str(album.pk)

    def _smart_album(self) -> str:
        """Make an album of what a camera took and people rated, unless there is one."""
        kept = {"camera_make": "Canon", "rating_min": "4"}
        library = Library.objects.order_by("pk").first()
        album, _ = Album.objects.get_or_create(
            kind=AlbumKind.SMART, library=library, title="The best", defaults={"filter": kept}
        )
        return str(album.pk)

    def draw(self, random: np.random.Generator, name: str) -> object:
        """Draw one."""
        sample = self.samples[name]
        return sample[int(random.integers(len(sample)))]


_ROWS = "FROM photos_photo TABLESAMPLE SYSTEM (2) REPEATABLE (7) WHERE trashed_at IS NULL"
_FACES = "FROM photos_face AS one TABLESAMPLE SYSTEM (1) REPEATABLE (7)"
_ISO = """'YYYY-MM-DD"T"HH24:MI:SS"Z"'"""
_SAMPLES = {
    "ids": f"SELECT id {_ROWS} LIMIT 20000",
    "library": f"SELECT library_id::text {_ROWS} LIMIT 2000",
    "sha256": f"SELECT sha256 {_ROWS} LIMIT 2000",
    "camera_make": f"SELECT camera_make {_ROWS} LIMIT 2000",
    "camera": f"SELECT camera_make, camera_model {_ROWS} LIMIT 2000",
    "lens": f"SELECT lens {_ROWS} AND lens <> '' LIMIT 2000",
    "position": f"SELECT latitude, longitude {_ROWS} AND latitude IS NOT NULL LIMIT 2000",
    "city": f"SELECT city {_ROWS} AND city <> '' LIMIT 2000",
    "country": f"SELECT country {_ROWS} AND city <> '' LIMIT 2000",
    "taken": f"SELECT to_char(taken_at, {_ISO}) {_ROWS} AND taken_at IS NOT NULL LIMIT 2000",
    "uploaded": f"SELECT to_char(uploaded_at, {_ISO}) {_ROWS} LIMIT 2000",
    "face": "SELECT vector.face_id::text FROM photos_faceembedding AS vector TABLESAMPLE SYSTEM (1) REPEATABLE (7)"
    " JOIN photos_face AS face ON face.id = vector.face_id JOIN photos_photo AS photo ON photo.id = face.photo_id"
    " WHERE photo.trashed_at IS NULL LIMIT 2000",
    "person": f"SELECT person_id::text {_FACES} WHERE person_id IS NOT NULL LIMIT 2000",
    "pair": f"SELECT one.person_id::text, two.person_id::text {_FACES}"
    " JOIN photos_face AS two USING (photo_id) WHERE one.person_id < two.person_id LIMIT 500",
    "tag": "SELECT tag.name FROM photos_phototag AS worn TABLESAMPLE SYSTEM (1) REPEATABLE (7)"
    " JOIN photos_tag AS tag ON tag.id = worn.tag_id LIMIT 2000",
    "word": f"SELECT split_part(caption, ' ', 1) {_ROWS} AND caption <> '' LIMIT 2000",
    "words": f"SELECT split_part(caption, ' ', 1) || ' ' || split_part(caption, ' ', 3) {_ROWS} AND caption <> ''"
    " LIMIT 2000",
    "name": "SELECT split_part(name, ' ', 2) FROM photos_person WHERE name <> '' LIMIT 2000",
    "file": f"SELECT original_filename {_ROWS} LIMIT 2000",
}


class Draws:
    """Makes queries, each time with other values."""

    def __init__(self, values: Values) -> None:
        self.values = values

    def given(self, *names: str, **fixed: object) -> Draw:
        """Values of parameters that are called as their samples are."""
        return lambda random: urlencode([*((name, self.values.draw(random, name)) for name in names), *fixed.items()])

    def called(self, sample: str, parameter: str) -> Draw:
        """Values of a sample."""
        return lambda random: urlencode({parameter: self.values.draw(random, sample)})

    def of(self, sample: str, **fixed: object) -> Draw:
        """Ids of a sample, and a fixed query."""
        return lambda random: f"{self.values.draw(random, sample)}?{urlencode(fixed)}"

    def camera(self, random: np.random.Generator) -> str:
        """A make with one of its models."""
        make, model = self.values.draw(random, "camera")
        return urlencode({"camera_make": make, "camera_model": model})

    def hashes(self, random: np.random.Generator) -> str:
        """As many hashes as may be asked for at once."""
        return urlencode([("sha256", self.values.draw(random, "sha256")) for _ in range(40)])

    def pair(self, random: np.random.Generator) -> str:
        """Two people who are on one photo."""
        return urlencode([("person", one) for one in self.values.draw(random, "pair")])

    def box(self, size: float, **fixed: object) -> Draw:
        """A box around a photo, twice `size` degrees wide."""

        def draw(random: np.random.Generator) -> str:
            latitude, longitude = self.values.draw(random, "position")
            west, east = max(-180, longitude - size), min(180, longitude + size)
            south, north = max(-90, latitude - size), min(90, latitude + size)
            return urlencode({"bbox": f"{west:.4f},{south:.4f},{east:.4f},{north:.4f}", **fixed})

        return draw

    def near(self, km: float, **fixed: object) -> Draw:
        """A circle around a photo."""

        def draw(random: np.random.Generator) -> str:
            latitude, longitude = self.values.draw(random, "position")
            return urlencode({"near": f"{latitude:.4f},{longitude:.4f},{km}", **fixed})

        return draw

    def month(self, name: str) -> Draw:
        """From the beginning of a photo's month to the photo."""

        def draw(random: np.random.Generator) -> str:
            moment = str(self.values.draw(random, name))
            return urlencode({f"{name}_after": f"{moment[:7]}-01T00:00:00Z", f"{name}_before": moment})

        return draw


def either(name: str, *choices: object, **fixed: object) -> Draw:
    """One of the choices."""
    return lambda random: urlencode({name: choices[int(random.integers(len(choices)))], **fixed})


def both(*draws: Draw) -> Draw:
    """Several parts of a query."""
    return lambda random: "&".join(draw(random) for draw in draws)


def cases(values: Values) -> list[Case]:
    """Give every case."""
    draws = Draws(values)
    given, called, box, near, month = draws.given, draws.called, draws.box, draws.near, draws.month
    word, words, name_of = called("word", "q"), called("words", "q"), called("name", "q")
    newest_first = either("order", "-taken")
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
        Case("camera_make, camera_model", draws.camera),
        Case("lens", given("lens")),
        Case("aperture_min, aperture_max", either("aperture_min", 1, 2.8, 16, aperture_max=16)),
        Case("iso_min", either("iso_min", 100, 1600, 12800)),
        Case("iso_min: none", either("iso_min", 20000)),
        Case("focal_length_min", either("focal_length_min", 24, 85, 200)),
        Case("exposure_max", either("exposure_max", "1/4000", "1/250", "1/30")),
        Case("taken_after, taken_before", month("taken")),
        Case("uploaded_after, uploaded_before", month("uploaded")),
        Case("bbox: a town", box(0.05)),
        Case("bbox: a country", box(4)),
        Case("bbox: half the world", lambda random: "bbox=-20,-60,180,80"),
        Case("near: 2 km", near(2)),
        Case("near: 50 km, order=distance", near(50, order="distance")),
        Case("has_gps", either("has_gps", "true", "false")),
        Case("place: a city", called("city", "place")),
        Case("place: a country", called("country", "place")),
        Case("person", given("person")),
        Case("person, person", draws.pair),
        Case("faces_min", either("faces_min", 1, 3, 8)),
        Case("faces_max", either("faces_max", 0, 2)),
        Case("tag", given("tag")),
        Case("tag, tag", both(given("tag"), given("tag"))),
        Case("rating_min", either("rating_min", 1, 4, 5)),
        Case("favourite", either("favourite", "true", "false")),
        Case("state", either("state", "ready", "pending", "attention", "processing")),
        Case("media_type", either("media_type", "image/jpeg", "image/heic", "image/gif")),
        Case("sha256", given("sha256")),
        Case("library, 40 of sha256", both(given("library"), draws.hashes)),
        Case("album: manual, of thousands", called("manual", "album")),
        Case("album: smart", called("smart", "album")),
        Case("orientation", either("orientation", "portrait", "square")),
        Case("hidden", either("hidden", "true", "false")),
        Case("person, order=-taken", both(given("person"), newest_first)),
        Case("tag, order=-taken", both(given("tag"), newest_first)),
        Case("camera_make, order=-taken", both(given("camera_make"), newest_first)),
        Case(
            "place, taken, order=-taken",
            both(called("city", "place"), month("taken"), newest_first),
        ),
        Case("q, camera_make", both(word, given("camera_make"))),
        Case("person, taken", both(given("person"), month("taken"))),
        Case("person, tag", both(given("person"), given("tag"))),
        Case("library, tag, rating_min", both(given("library", "tag"), either("rating_min", 4))),
        Case("library, order=-taken", both(given("library"), newest_first)),
        Case("facets", lambda random: "", FACETS),
        Case("facets: camera_make", given("camera_make"), FACETS),
        Case("facets: person", given("person"), FACETS),
        Case("facets: tag", given("tag"), FACETS),
        Case("facets: q", word, FACETS),
        Case("facets: place", called("country", "place"), FACETS),
        Case("facets: taken", month("taken"), FACETS),
        Case("timeline", lambda random: "", TIMELINE),
        Case("timeline: person", given("person"), TIMELINE),
        Case("timeline: tag", given("tag"), TIMELINE),
        Case("timeline: camera_make", given("camera_make"), TIMELINE),
        Case("map: the world", either("zoom", 1, 2, 3), MAP),
        Case("map: a country", box(4, zoom=7), MAP),
        Case("map: a town", box(0.05, zoom=13), MAP),
        Case("map: a person", both(given("person"), either("zoom", 2)), MAP),
        Case("faces like a face", draws.of("face", limit=50), FACES, by=(FACE_VECTORS,)),
        Case("photos like a photo, by hash", draws.of("ids", by="hash"), SIMILAR, by=FINGERPRINTS),
    ]
