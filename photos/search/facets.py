"""Counts of the values that photos have: of all that were found, or, of very many, estimated from a sample."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet

from photos.models import Person, Photo
from photos.models.photo import SAMPLES

# of each facet the most frequent values; of months all
VALUES_OF_A_FACET = 50
# as many photos are looked at; a value that one photo in a hundred has is then estimated within a fifth of its count
COUNTED_AT_MOST = 10_000

_COLUMNS = {
    "cameras": ("camera_make", "camera_model"),
    "lenses": ("lens",),
    "places": ("country_code", "country", "region", "city"),
}
_MOST = f"ORDER BY count DESC, 1 LIMIT {VALUES_OF_A_FACET}"


def _of_columns(*names: str) -> str:
    columns = ", ".join(names)
    return f"SELECT {columns}, count(*) AS count FROM kept WHERE {names[0]} <> '' GROUP BY {columns} {_MOST}"  # noqa: S608 - names of columns, above


# OFFSET 0 has the planner ask photo by photo, by an index: of a sample it would else read all tags and faces there are
_FACETS = {
    **{facet: _of_columns(*names) for facet, names in _COLUMNS.items()},
    "months": "SELECT extract(year FROM taken_on)::int AS year, extract(month FROM taken_on)::int AS month,"
    " count(*) AS count FROM kept WHERE taken_on IS NOT NULL GROUP BY 1, 2 ORDER BY 1 DESC, 2 DESC",
    "tags": f"""
        SELECT tag.id, tag.name, counted.count FROM (
            SELECT tag_id, count(*) AS count FROM kept, LATERAL (
                SELECT tag_id FROM photos_phototag WHERE photo_id = kept.id AND NOT is_taken_off OFFSET 0
            ) AS worn GROUP BY tag_id {_MOST}
        ) AS counted JOIN photos_tag AS tag ON tag.id = counted.tag_id ORDER BY counted.count DESC, tag.id
    """,  # noqa: S608 - nothing of a stranger's
    "people": f"""
        SELECT person.id, person.name, counted.count FROM (
            SELECT person_id, count(*) AS count FROM kept, LATERAL (
                SELECT DISTINCT person_id FROM photos_face WHERE photo_id = kept.id AND person_id = ANY(%(people)s)
                    AND (person_decided OR (confidence >= %(confidence)s AND quality >= %(quality)s)) OFFSET 0
            ) AS shown GROUP BY person_id {_MOST}
        ) AS counted JOIN photos_person AS person ON person.id = counted.person_id
        ORDER BY counted.count DESC, person.id
    """,  # noqa: S608 - as above
}
# found by what indexes hold, and only then read: of a sample few rows are
_KEPT = """
    SELECT photo.* FROM found, LATERAL (
        SELECT id, camera_make, camera_model, lens, taken_on, country_code, country, region, city FROM photos_photo
        WHERE id = found.key OFFSET 0
    ) AS photo
"""


@dataclass(frozen=True, slots=True)
class Facets:
    """The counts, by facet; `is_estimated`: of a sample, and a value that few have may be missing."""

    counts: Mapping[str, list[dict[str, Any]]]
    is_estimated: bool


def count(photos: QuerySet[Photo], *, people: QuerySet[Person]) -> Facets:
    """Count the values of photos; people are those among `people`."""
    try:
        share = _share_to_count(photos)
        if share < SAMPLES:
            photos = photos.filter(sample__lt=share)
        sql, parameters = photos.order_by().values_list("pk").query.sql_with_params()
    except EmptyResultSet:
        # the framework knows that there is none, and asks no database
        return Facets(counts={name: [] for name in _FACETS}, is_estimated=False)
    with connection.cursor() as cursor:
        # the filter is evaluated once, and its parameters are written into it: the facets have names for theirs
        found = cursor.mogrify(sql, parameters).decode().replace("%", "%%")
        facets = ", ".join(f"'{name}', ({_as_json(facet)})" for name, facet in _FACETS.items())
        cursor.execute(
            f"WITH found (key) AS MATERIALIZED ({found}), kept AS MATERIALIZED ({_KEPT})"
            f" SELECT json_build_object({facets})",
            {
                "people": list(people.values_list("pk", flat=True)),
                "confidence": settings.FACE_MIN_CONFIDENCE,
                "quality": settings.FACE_MIN_QUALITY,
            },
        )
        [answer] = cursor.fetchone()
    counts = json.loads(answer) if isinstance(answer, str) else answer
    scale = SAMPLES / share
    scaled = {name: [one | {"count": round(one["count"] * scale)} for one in rows] for name, rows in counts.items()}
    return Facets(counts=scaled, is_estimated=share < SAMPLES)


def _share_to_count(photos: QuerySet[Photo]) -> int:
    """Give how many of the SAMPLES parts of all photos are looked at, by the planner's estimate of what there is."""
    plan_of = photos.order_by().values("pk")
    plan_of.query.sql_with_params()
    [plan] = json.loads(plan_of.explain(format="json"))
    expected = plan["Plan"]["Plan Rows"]
    return SAMPLES if expected <= COUNTED_AT_MOST else max(1, ceil(SAMPLES * COUNTED_AT_MOST / expected))


def _as_json(facet: str) -> str:
    return f"SELECT coalesce(json_agg(one), '[]') FROM ({facet}) AS one"  # noqa: S608 - as above
