"""Erasing what is known of faces: rows, vectors and people in one transaction with the dates at which chips go."""

from collections.abc import Collection, Sequence
from uuid import UUID

from django.db import transaction

from photos import storage
from photos.models import Face, FaceEmbedding, GroupLoss, ObjectSweep, Person
from photos.services import object_sweeps


@transaction.atomic
def erase_faces(*, library_id: UUID, photo_ids: Sequence[UUID], unfinished: Collection[UUID] = ()) -> dict[str, int]:
    """Erase the faces of photos of a library; gives the receipt: how many `photos` had any, `faces`, `embeddings`.

    Chips go at once, by the sweeper, and whatever a worker at work still stores once more when its lease has run out;
    also of the photos that are `unfinished`: somebody looked for faces and did not come to write them.
    """
    # faces before their embeddings, as everybody locks them
    faces = Face.objects.select_for_update().filter(photo_id__in=photo_ids).order_by("pk")
    photo_of = dict(faces.values_list("pk", "photo_id"))
    embeddings, _ = FaceEmbedding.objects.filter(face_id__in=photo_of).delete()
    Face.objects.filter(pk__in=photo_of).delete()
    having_had_faces = set(photo_of.values())
    prefixes = (
        storage.derived_prefix(library_id=library_id, photo_id=one) for one in having_had_faces | set(unfinished)
    )
    object_sweeps.request_all(
        sweeps=((storage.RENDITIONS, prefix) for prefix in prefixes), reason=ObjectSweep.Reason.FACES_OFF
    )
    return {"photos": len(having_had_faces), "faces": len(photo_of), "embeddings": embeddings}


@transaction.atomic
def erase_people(*, library_id: UUID, limit: int) -> dict[str, int]:
    """Erase people of a library, with their names, `limit` of them; gives how many `people`.

    What the next grouping of the library would have had to look at goes too: there are no groups any more.
    """
    GroupLoss.objects.filter(library_id=library_id).delete()
    people = Person.objects.select_for_update().filter(library_id=library_id).order_by("pk")
    chosen = list(people.values_list("pk", flat=True)[:limit])
    Person.objects.filter(pk__in=chosen).delete()
    return {"people": len(chosen)}
