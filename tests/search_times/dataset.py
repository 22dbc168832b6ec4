"""A library of a million photos: rows with the distributions of real archives, made from a seed and sent by COPY.

Few cameras take most photos, few places and people are on most of them, most tags are rare, and photos come in bursts.
The same seed makes the same rows.
"""

import csv
import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import numpy as np
from django.db import connection

from search_times import vocabulary

CHUNK = 25_000
NULL = "\\N"
FIRST_UPLOAD, LAST_UPLOAD = datetime(2019, 1, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
DIMENSIONS, SURFACE = 128, 16
# how far a person's vectors lie from their centre, and all from the surface
WITHIN, BESIDE = 0.2, 0.02
MODEL = "dlib-resnet-v1"
STAGES = ("exif", "renditions", "face_detection", "face_embedding", "place")
# shares of all photos
DATED, LOCATED, TAGGED, RATED, TITLED, CAPTIONED, WITH_FACES = 0.95, 0.6, 0.55, 0.15, 0.08, 0.1, 0.45
TRASHED, HIDDEN, VIEWED, BUSY, DEAD = 0.01, 0.001, 0.2, 0.002, 0.001


@dataclass(slots=True)
class Cast:
    """What photos are made of: ids of libraries, people and tags, and the words of their names."""

    libraries: list[UUID]
    library_share: np.ndarray
    people: list[list[UUID]]
    people_names: dict[UUID, str]
    tags: list[list[UUID]]
    tag_names: list[str]
    places: list[dict[str, object]]


def zipf(count: int, exponent: float = 1.0) -> np.ndarray:
    """Give falling shares that add up to 1."""
    shares = 1 / np.arange(1, count + 1) ** exponent
    return shares / shares.sum()


def key_at(random: np.random.Generator, moment: datetime) -> UUID:
    """Make a UUIDv7 (RFC 9562) of a moment."""
    milliseconds = int(moment.timestamp() * 1000)
    tail = int.from_bytes(random.bytes(10))
    return UUID(int=milliseconds << 80 | 7 << 76 | (tail >> 64 & 0xFFF) << 64 | 0b10 << 62 | tail & (1 << 62) - 1)


def copy(table: str, columns: Sequence[str], rows: Iterator[Sequence[object]]) -> int:
    """Send rows to a table; gives how many."""
    count = 0
    with connection.cursor() as cursor:
        while True:
            buffer = io.StringIO()
            writer = csv.writer(buffer, lineterminator="\n")
            taken = 0
            for row in rows:
                writer.writerow([NULL if value is None else value for value in row])
                taken += 1
                if taken == CHUNK:
                    break
            if not taken:
                return count
            buffer.seek(0)
            names = ", ".join(f'"{name}"' for name in columns)
            cursor.copy_expert(f"COPY {table} ({names}) FROM STDIN WITH (FORMAT csv, NULL '{NULL}')", buffer)
            count += taken


class Indexes:
    """Drops the indexes of tables that no constraint needs, and makes them anew: faster than row by row."""

    def __init__(self, tables: Sequence[str]) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY(%s) AND indexname NOT IN "
                "(SELECT conname FROM pg_constraint)",
                [list(tables)],
            )
            self.definitions = dict(cursor.fetchall())
            for name in self.definitions:
                cursor.execute(f'DROP INDEX "{name}"')

    def make(self, tell: Callable[[str], None]) -> None:
        """Make them, with as much memory as a build likes."""
        with connection.cursor() as cursor:
            cursor.execute("SET maintenance_work_mem = '2GB'; SET max_parallel_maintenance_workers = 2")
            for name, definition in self.definitions.items():
                started = time.monotonic()
                cursor.execute(definition)
                if time.monotonic() - started > 10:
                    tell(f"index {name}: {time.monotonic() - started:.0f} s")


class Maker:
    """Makes the rows."""

    def __init__(self, *, photos: int, seed: int, tell: Callable[[str], None]) -> None:
        self.count, self.random, self.tell = photos, np.random.default_rng(seed), tell
        self.words = vocabulary.words(self.random, 6000)
        self.word_share = zipf(6000)

    def text(self, least: int, most: int) -> str:
        """Make a text of words, the frequent ones most often."""
        chosen = self.random.choice(len(self.words), int(self.random.integers(least, most + 1)), p=self.word_share)
        return " ".join(self.words[one] for one in chosen)

    def cast(self, libraries: list[UUID]) -> Cast:
        """Make people and tags of each library, more of them in the larger ones."""
        share = np.array([0.6, *(0.4 * zipf(len(libraries) - 1))])
        names, people, tags = {}, [], []
        tag_names = [self.words[one] for one in range(3000)]
        for place in range(len(libraries)):
            many = max(20, int(6000 * share[place]))
            of_library = [key_at(self.random, FIRST_UPLOAD) for _ in range(many)]
            people.append(of_library)
            names |= {one: vocabulary.name(self.random) for one in of_library[: many // 3]}
            tags.append([key_at(self.random, FIRST_UPLOAD) for _ in range(max(50, int(3000 * share[place])))])
        rows = (
            (one, libraries[place], names.get(one, ""), FIRST_UPLOAD.isoformat())
            for place, some in enumerate(people)
            for one in some
        )
        copy("photos_person", ("id", "library_id", "name", "created_at"), rows)
        rows = (
            (one, libraries[place], tag_names[rank], tag_names[rank], FIRST_UPLOAD.isoformat(), "f")
            for place, some in enumerate(tags)
            for rank, one in enumerate(some)
        )
        copy("photos_tag", ("id", "library_id", "name", "key", "created_at", "is_removed"), rows)
        return Cast(libraries, share, people, names, tags, tag_names, vocabulary.places(2000))

    def photos(self, cast: Cast) -> None:
        """Make photos with all that hangs on them, chunk by chunk."""
        for start in range(0, self.count, CHUNK):
            self._chunk(cast, start, min(CHUNK, self.count - start))
            if (start // CHUNK) % 8 == 7:
                self.tell(f"{start + CHUNK:,} photos")

    def _chunk(self, cast: Cast, start: int, count: int) -> None:
        random = self.random
        step = (LAST_UPLOAD - FIRST_UPLOAD) / self.count
        uploaded = [FIRST_UPLOAD + step * (start + one) for one in range(count)]
        ids = [key_at(random, moment) for moment in uploaded]
        library = random.choice(len(cast.libraries), count, p=cast.library_share)
        tags, tag_rows = self._tags(cast, ids, library)
        faces, face_rows = self._faces(cast, ids, library)
        columns, rows = self._photo_rows(cast, start, ids, uploaded, library, tags, faces)
        copy("photos_photo", columns, rows)
        copy("photos_phototag", ("id", "photo_id", "tag_id", "from_file", "by_person", "is_taken_off"), iter(tag_rows))
        copy(
            "photos_face",
            (
                "id", "photo_id", "version", "left", "top", "right", "bottom", "landmarks", "confidence", "quality",
                "chip_key", "chip_sha256", "chip_width", "chip_height", "chip_box", "chip_landmarks", "person_id",
                "person_decided", "created_at",
            ),
            iter(face_rows),
        )  # fmt: skip
        views = (
            (ids[one], int(random.zipf(1.6) % 100_000), LAST_UPLOAD.isoformat())
            for one in np.flatnonzero(random.random(count) < VIEWED)
        )
        copy("photos_photoviews", ("photo_id", "count", "last_viewed_at"), views)
        copy(
            "processing_stagerun",
            (
                "id", "version", "state", "lane", "attempt", "created_at", "task_id", "worker", "claimed_with",
                "claim_alone", "error_code", "error_detail", "exception", "frame", "traceback", "fingerprint",
                "skip_reason", "discard_reason", "queued_at", "finished_at", "photo_id", "stage", "inputs", "warnings",
            ),
            self._runs(ids, uploaded),
        )  # fmt: skip

    def _tags(self, cast: Cast, ids: list[UUID], library: np.ndarray) -> tuple[list[str], list[tuple]]:
        random, names, rows = self.random, [], []
        many = np.where(random.random(len(ids)) < TAGGED, random.integers(1, 7, len(ids)), 0)
        for place, photo in enumerate(ids):
            own = cast.tags[library[place]]
            ranks = np.unique((len(own) ** random.random(many[place])).astype(int) - 1) if many[place] else ()
            rows += [(UUID(bytes=random.bytes(16)), photo, own[rank], "t", "f", "f") for rank in ranks]
            names.append(" ".join(sorted(cast.tag_names[rank] for rank in ranks)))
        return names, rows

    def _faces(self, cast: Cast, ids: list[UUID], library: np.ndarray) -> tuple[list[list], list[tuple]]:
        random, found, rows = self.random, [], []
        many = np.where(random.random(len(ids)) < WITH_FACES, random.geometric(0.45, len(ids)), 0)
        for place, photo in enumerate(ids):
            own, people = cast.people[library[place]], []
            for number in range(min(int(many[place]), 30)):
                # the first of a library are on most photos; every tenth face is of nobody known
                person = own[int(len(own) ** random.random()) - 1] if random.random() < 0.9 else None
                people.append(person)
                rows.append(
                    (
                        UUID(bytes=random.bytes(16)), photo, "1", 0.1, 0.1, 0.2, 0.2, "[]", 0.99, 0.5,
                        f"{photo}/{number}", "", 160, 160, "[40,40,120,120]", "[]", person, "f",
                        LAST_UPLOAD.isoformat(),
                    )
                )  # fmt: skip
            found.append(people)
        return found, rows

    def _photo_rows(
        self, cast: Cast, start: int, ids: list, uploaded: list, library: np.ndarray, tags: list, faces: list
    ) -> tuple[Sequence[str], Iterator[Sequence[object]]]:
        random, count = self.random, len(ids)
        camera = random.choice(len(vocabulary.CAMERAS), count, p=zipf(len(vocabulary.CAMERAS)))
        lens = random.integers(0, len(vocabulary.LENSES), count)
        chance = {name: random.random(count) for name in ("dated", "located", "rated", "titled", "captioned", "other")}
        place = random.choice(len(cast.places), count, p=zipf(len(cast.places), 0.8))
        spread = random.normal(0, 0.04, (count, 2))
        iso = random.choice([50, 64, 100, 125, 200, 320, 400, 640, 800, 1600, 3200, 6400, 12800], count)
        aperture = random.choice([1.4, 1.8, 2.0, 2.2, 2.8, 4.0, 5.6, 8.0, 11.0, 16.0], count)
        focal = np.round(
            random.choice([4.2, 5.1, 24, 26, 35, 50, 85, 200], count) + random.integers(0, 9, count) / 10, 1
        )
        exposure = 1 / random.choice([2, 15, 30, 60, 100, 125, 250, 500, 1000, 2000, 4000], count)
        # bursts: a photo in three is of the second of the one before
        ago = np.maximum.accumulate(random.exponential(60, count) * (random.random(count) < 0.66)) % 900

        def rows() -> Iterator[Sequence[object]]:
            for one in range(count):
                make, model = vocabulary.CAMERAS[camera[one]]
                where = cast.places[place[one]] if chance["located"][one] < LOCATED else None
                taken = uploaded[one] - timedelta(days=float(ago[one])) if chance["dated"][one] < DATED else None
                taken = taken and taken.replace(microsecond=0)
                names = {cast.people_names.get(person, "") for person in faces[one]}
                is_upright = chance["other"][one] < 0.3
                is_square = chance["other"][one] < 0.01
                keys = vocabulary.place_keys(where)
                yield (
                    ids[one], cast.libraries[library[one]], f"IMG_{(start + one) % 10_000:04}.JPG",
                    random.bytes(32).hex(), 3_000_000, "JPEG" if one % 5 else "HEIF",
                    "image/jpeg" if one % 5 else "image/heic", 3000 if is_upright else 4000,
                    3000 if is_square else 4000 if is_upright else 3000, "originals", str(ids[one]),
                    int.from_bytes(random.bytes(8), signed=True), uploaded[one].isoformat(),
                    LAST_UPLOAD.isoformat() if chance["other"][one] > 1 - TRASHED else None,
                    "t" if chance["rated"][one] < HIDDEN else "f",
                    self.text(1, 5) if chance["titled"][one] < TITLED else "",
                    self.text(5, 25) if chance["captioned"][one] < CAPTIONED else "",
                    int(one % 5) + 1 if chance["rated"][one] < RATED else None,
                    taken and taken.isoformat(), 0 if taken else None, taken and date.isoformat(taken.date()),
                    where and max(-90, min(90, where["latitude"] + spread[one, 0])),
                    where and max(-180, min(180, where["longitude"] + spread[one, 1])),
                    where["country_code"] if where else "", where["country"] if where else "",
                    where["region"] if where else "", where["city"] if where else "",
                    "{" + ",".join(json.dumps(key) for key in keys) + "}",
                    make, model, vocabulary.LENSES[lens[one]] if chance["other"][one] < 0.7 else "",
                    aperture[one], iso[one], focal[one], exposure[one], len(faces[one]), tags[one],
                    " ".join(sorted(names - {""})),
                )  # fmt: skip

        return (
            "id", "library_id", "original_filename", "sha256", "byte_size", "image_format", "mime_type", "width",
            "height", "storage_alias", "storage_key", "perceptual_hash", "uploaded_at", "trashed_at", "is_hidden",
            "title", "caption", "rating", "taken_at", "taken_at_offset", "taken_on", "latitude", "longitude",
            "country_code", "country", "region", "city", "place_keys", "camera_make", "camera_model", "lens",
            "aperture", "iso", "focal_length", "exposure_time", "face_count", "tag_names", "people_names",
        ), rows()  # fmt: skip

    def _runs(self, ids: list[UUID], uploaded: list[datetime]) -> Iterator[Sequence[object]]:
        chance = self.random.random(len(ids))
        for place, photo in enumerate(ids):
            moment = uploaded[place].isoformat()
            for stage in STAGES:
                state, error, finished, queued = "done", "", moment, moment
                if chance[place] < BUSY and stage == "renditions":
                    state, finished = "pending", None
                elif chance[place] > 1 - DEAD and stage == "renditions":
                    state, error = "dead", "damaged"
                key = UUID(bytes=self.random.bytes(16))
                yield (
                    key, "1", state, 0, 1, moment, "", "", 1, "f", error, "", "", "", "", "", "", "", queued,
                    finished, photo, stage, "{}", "[]",
                )  # fmt: skip


def embeddings(random: np.random.Generator, tell: Callable[[str], None], *, at_most: int) -> int:
    """Give faces vectors: those of a person lie around one point, as real ones do (spread as dlib's are).

    All lie near a surface of SURFACE dimensions: 10 to 20 were measured of face models (Gong, Boddeti and Jain, On
    the intrinsic dimensionality of image representations, 2019). Of numbers without such a structure all are equally
    far, so that which are nearest is chance.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT face.id, photo.library_id, face.person_id FROM photos_face AS face "
            "JOIN photos_photo AS photo ON photo.id = face.photo_id LIMIT %s",
            [at_most],
        )
        faces = cursor.fetchall()
    surface, _ = np.linalg.qr(random.normal(size=(DIMENSIONS, SURFACE)))
    centres: dict[UUID | None, np.ndarray] = {}

    def rows() -> Iterator[Sequence[object]]:
        for number, (face, library, person) in enumerate(faces):
            centre = centres.get(person) if person else None
            if centre is None:
                drawn = surface @ random.normal(0, 1, SURFACE)
                centre = drawn / np.linalg.norm(drawn) * 1.4
                if person:
                    centres[person] = centre
            vector = centre + surface @ random.normal(0, WITHIN / np.sqrt(SURFACE), SURFACE)
            vector += random.normal(0, BESIDE / np.sqrt(DIMENSIONS), DIMENSIONS)
            text = "[" + ",".join(f"{value:.4f}" for value in vector) + "]"
            yield UUID(bytes=random.bytes(16)), face, library, MODEL, "1", DIMENSIONS, text, 0
            if number % 250_000 == 249_999:
                tell(f"{number + 1:,} vectors")

    columns = ("id", "face_id", "library_id", "model", "version", "dimensions", "vector", "component")
    return copy("photos_faceembedding", columns, rows())
