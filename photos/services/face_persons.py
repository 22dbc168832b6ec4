"""Whose a face is: the one place where `Face.person` is written."""

from collections.abc import Collection, Mapping
from itertools import islice
from uuid import UUID

from django.db import connection
from django.db.models import Count, Exists, F, OuterRef, Subquery
from django.db.models.functions import Coalesce

from photos.models import EventKind, Face, Person, Photo
from photos.services import events, shown

ROWS_PER_STATEMENT = 5000
# gives photo, person before and person after of each face that changed hands
_PUT = """
    UPDATE photos_face SET person_id = given.person_id
    FROM unnest(%s::uuid[], %s::uuid[]) AS given (face_id, person_id)
        JOIN photos_face AS before ON before.id = given.face_id
    WHERE photos_face.id = given.face_id AND photos_face.person_id IS DISTINCT FROM given.person_id
    RETURNING photos_face.photo_id, before.person_id, given.person_id
"""


def put_faces(*, persons: Mapping[UUID, UUID | None]) -> int:
    """Give faces, by key, their persons, None for nobody; gives how many changed hands.

    In the caller's transaction, which has locked the faces. Nothing else writes the column, but the database where a
    person's row goes.
    """
    moved = 0
    pairs = iter(sorted(persons.items(), key=lambda pair: pair[0]))
    while some := list(islice(pairs, ROWS_PER_STATEMENT)):
        with connection.cursor() as cursor:
            cursor.execute(_PUT, [[face_id for face_id, _ in some], [person_id for _, person_id in some]])
            changed = cursor.fetchall()
        moved += len(changed)
        # of those that were given to others: names alone are shown, and most people have none
        people = {one for row in changed for one in row[1:] if one}
        named = set(Person.objects.filter(pk__in=people).exclude(name="").values_list("pk", flat=True))
        shown.refresh(photo_ids={photo_id for photo_id, *both in changed if named.intersection(both)})
    return moved


def refresh_photos_of(*, person_ids: Collection[UUID]) -> None:
    """Bring what is shown of people's photos up to their names."""
    shown.refresh(photo_ids=set(Face.objects.filter(person__in=person_ids).values_list("photo", flat=True)))


def recount_faces(*, library_id: UUID) -> int:
    """Show of a library's photos how many faces are kept, after a floor was moved; gives how many photos changed."""
    kept = Face.objects.kept().filter(photo=OuterRef("pk")).order_by().values("photo").annotate(count=Count("pk"))
    photos = Photo.objects.filter(library_id=library_id).annotate(kept=Coalesce(Subquery(kept.values("count")), 0))
    return shown.refresh(photo_ids=list(photos.exclude(face_count=F("kept")).values_list("pk", flat=True)))


def tell_changed(*, library_id: UUID, **counts: int) -> None:
    """Tell that people of a library, or whose face is whose, have changed: once, however many, in the transaction."""
    events.record_change(kind=EventKind.PEOPLE_CHANGED, library_id=library_id, **counts)


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
