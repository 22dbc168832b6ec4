"""Whose a face is: the one place where `Face.person` is written."""

from collections.abc import Collection, Mapping
from itertools import islice
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef

from photos.models import Face, Person

ROWS_PER_STATEMENT = 5000


def put_faces(*, persons: Mapping[UUID, UUID | None]) -> int:
    """Give faces, by key, their persons, None for nobody; gives how many changed hands.

    In the caller's transaction, which has locked the faces. Nothing else writes the column, but the database where a
    person's row goes.
    """
    moved = 0
    pairs = iter(sorted(persons.items(), key=lambda pair: pair[0]))
    while some := list(islice(pairs, ROWS_PER_STATEMENT)):
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE photos_face SET person_id = given.person_id "
                "FROM unnest(%s::uuid[], %s::uuid[]) AS given (face_id, person_id) "
                "WHERE photos_face.id = given.face_id AND photos_face.person_id IS DISTINCT FROM given.person_id",
                [[face_id for face_id, _ in some], [person_id for _, person_id in some]],
            )
            moved += cursor.rowcount
    return moved


def delete_empty_people(*, library_id: UUID, among: Collection[UUID | None] | None = None) -> int:
    """Delete the nameless people of a library, or those `among` them, who have no face left; gives how many.

    Those who were merged into others have none and stay: undoing brings them back.
    """
    empty = Person.objects.filter(
        ~Exists(Face.objects.filter(person=OuterRef("pk"))), library_id=library_id, name="", merged_into__isnull=True
    )
    if among is not None:
        empty = empty.filter(pk__in=[one for one in among if one])
    # locked, then asked again: one who was named or given a face meanwhile stays
    locked = [person.pk for person in empty.select_for_update(of=("self",)).order_by("pk")]
    there = list(empty.filter(pk__in=locked).values_list("pk", flat=True))
    if there:
        Person.objects.filter(pk__in=there).delete()
    return len(there)
