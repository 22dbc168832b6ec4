"""What is shown of a photo and what it is found by: reckoned from what people, the file, place, tags and faces say.

Whoever changes one of these sources calls `refresh` in the same transaction, after it: the columns of a photo follow,
also where two sources change at once. What people said goes before what a sidecar says, and that before what the file
says.
"""

from collections.abc import Collection
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

# a file may say more; as much as this is shown and searched, and all of it stays in its metadata
TITLE_LENGTH, CAPTION_LENGTH = 1000, 10_000

# a time that a sidecar says
_BESIDE_AT = "(beside.values ->> 'taken_at')"
# what people may correct, and what a file beside the photo or else its own file says of it
_SAID = {
    "title": f"left(coalesce(nullif(beside.values ->> 'title', ''), said.title, ''), {TITLE_LENGTH})",
    "caption": f"left(coalesce(nullif(beside.values ->> 'caption', ''), said.description, ''), {CAPTION_LENGTH})",
    "rating": "coalesce((beside.values ->> 'rating')::smallint, said.rating)",
    "taken_at": f"coalesce({_BESIDE_AT}::timestamptz, said.taken_at)",
    # one of zero is that of a file which knows no zone, as Takeout's
    "taken_at_offset": f"coalesce(nullif((extract(epoch FROM left({_BESIDE_AT}, 19)::timestamp) - "
    f"extract(epoch FROM {_BESIDE_AT}::timestamptz))::integer / 60, 0), said.taken_at_offset, "
    f"CASE WHEN {_BESIDE_AT} IS NOT NULL THEN 0 END)",
    "latitude": "coalesce((beside.values ->> 'latitude')::double precision, said.latitude)",
    # half of one position is not put to half of another
    "longitude": "CASE WHEN beside.values ->> 'latitude' IS NULL THEN said.longitude"
    " ELSE (beside.values ->> 'longitude')::double precision END",
}
_CORRECTED = {
    "title": "coalesce(corrections ->> 'title', '')",
    "caption": "coalesce(corrections ->> 'caption', '')",
    "rating": "(corrections ->> 'rating')::smallint",
    "taken_at": "(corrections ->> 'taken_at')::timestamptz",
    "taken_at_offset": "(corrections ->> 'taken_at_offset')::smallint",
    "latitude": "(corrections #>> '{position,0}')::double precision",
    "longitude": "(corrections #>> '{position,1}')::double precision",
}
# which correction a column is of, where the names differ
_CORRECTION = {"taken_at_offset": "taken_at", "latitude": "position", "longitude": "position"}
_CAMERA = {
    **dict.fromkeys(("camera_make", "camera_model", "lens"), "coalesce(said.{0}, '')"),
    **dict.fromkeys(("aperture", "iso", "focal_length", "exposure_time"), "said.{0}"),
}
_PLACE = ("country_code", "country", "region", "city")


_COLUMNS = {
    name: f"CASE WHEN corrections ? '{_CORRECTION.get(name, name)}' THEN {_CORRECTED[name]} ELSE {said} END"
    for name, said in _SAID.items()
} | {name: expression.format(name) for name, expression in _CAMERA.items()}
# First what is said, then what follows from it: the day on the camera's clock, and the place, if it is that of the
# position. The UPDATE writes those rows alone that change.
_DERIVED = {
    "taken_on": "((base.taken_at AT TIME ZONE 'UTC') + make_interval(mins => coalesce(base.taken_at_offset, 0)))::date",
    **{name: f"coalesce(place.{name}, '')" for name in _PLACE},
    "place_keys": 'ARRAY(SELECT DISTINCT lower(photos_fold(name)) COLLATE "C" AS key'
    " FROM unnest(ARRAY[place.country_code, place.country, place.region, place.city]) AS name"
    " WHERE name <> '' ORDER BY key)::varchar(128)[]",
    "face_count": "faces.count",
    "people_names": "faces.names",
    "tag_names": "tags.names",
}
_ALL = (*_COLUMNS, *_DERIVED)
_SHOWN, _NEW = (", ".join(f"{table}.{name}" for name in _ALL) for table in ("shown", "reckoned"))

# Reckons the columns of the photos in %(ids)s; also what `prove` compares them with.
RECKONED = f"""
    SELECT base.id, {", ".join(f"base.{name}" for name in _COLUMNS)},
        {", ".join(f"{expression} AS {name}" for name, expression in _DERIVED.items())}
    FROM (
        SELECT photo.id, {", ".join(f"{expression} AS {name}" for name, expression in _COLUMNS.items())}
        FROM photos_photo AS photo LEFT JOIN photos_metadata AS said ON said.photo_id = photo.id
            LEFT JOIN photos_sidecar AS beside ON beside.photo_id = photo.id
        WHERE photo.id = ANY(%(ids)s)
    ) AS base
    LEFT JOIN photos_photoplace AS place
        ON (place.photo_id, place.latitude, place.longitude) = (base.id, base.latitude, base.longitude)
    CROSS JOIN LATERAL (
        SELECT count(*)::integer AS count,
            coalesce(string_agg(DISTINCT person.name, ' ' ORDER BY person.name), '') AS names
        FROM photos_face AS face LEFT JOIN photos_person AS person ON person.id = face.person_id AND person.name <> ''
        WHERE face.photo_id = base.id AND (face.person_decided
            OR (face.confidence >= %(confidence)s AND face.quality >= %(quality)s))
    ) AS faces
    CROSS JOIN LATERAL (
        SELECT coalesce(string_agg(tag.name, ' ' ORDER BY tag.key), '') AS names
        FROM photos_phototag AS worn JOIN photos_tag AS tag ON tag.id = worn.tag_id
        WHERE worn.photo_id = base.id AND NOT worn.is_taken_off
    ) AS tags
"""  # noqa: S608 - made of the names above
_LOCK = "SELECT FROM photos_photo WHERE id = ANY(%(ids)s) ORDER BY id FOR NO KEY UPDATE"
_CHANGED = f"reckoned.id = shown.id AND ({_SHOWN}) IS DISTINCT FROM ({_NEW})"
_UPDATE = f"""
    UPDATE photos_photo AS shown SET ({", ".join(_ALL)}) = ({_NEW}) FROM ({RECKONED}) AS reckoned WHERE {_CHANGED}
"""  # noqa: S608 - as above
_DIFFERING = f"SELECT shown.id FROM photos_photo AS shown JOIN ({RECKONED}) AS reckoned ON {_CHANGED}"  # noqa: S608 - as above


@transaction.atomic
def refresh(*, photo_ids: Collection[UUID]) -> int:
    """Reckon anew what is shown of photos; gives how many changed.

    Photos come last in the order of locks: after faces, people and tags.
    """
    if not photo_ids:
        return 0
    with connection.cursor() as cursor:
        # held before the sources are read: whoever changed another source meanwhile has committed then
        cursor.execute(_LOCK, {"ids": list(photo_ids)})
        cursor.execute(_UPDATE, _parameters(photo_ids))
        return cursor.rowcount


def differing(*, photo_ids: Collection[UUID]) -> list[UUID]:
    """Give those of the photos that do not show what their sources say; there is none, unless somebody wrote by hand.

    Or unless FACE_MIN_CONFIDENCE or FACE_MIN_QUALITY was moved, and the grouping that follows has not come by yet.
    """
    with connection.cursor() as cursor:
        cursor.execute(_DIFFERING, _parameters(photo_ids))
        return [row[0] for row in cursor.fetchall()]


def _parameters(photo_ids: Collection[UUID]) -> dict[str, object]:
    floors = {"confidence": settings.FACE_MIN_CONFIDENCE, "quality": settings.FACE_MIN_QUALITY}
    return {"ids": list(photo_ids), **floors}
