"""Erasing what is known of faces: rows, vectors and people in one transaction with the dates at which chips go."""

from collections.abc import Collection, Sequence
from uuid import UUID

from django.db import transaction

from accounts.services import erasure as receipts
from photos import storage
from photos.models import (
    DecisionKind,
    Face,
    FaceEmbedding,
    FaceLink,
    FaceSuppression,
    GroupLoss,
    ObjectSweep,
    Person,
    PersonDecision,
    Regrouping,
)
from photos.services import face_persons, object_sweeps, shown
from photos.services import faces as face_rows


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
    shown.refresh(photo_ids=having_had_faces)
    prefixes = (
        storage.derived_prefix(library_id=library_id, photo_id=one) for one in having_had_faces | set(unfinished)
    )
    object_sweeps.request_all(
        sweeps=((storage.RENDITIONS, prefix) for prefix in prefixes), reason=ObjectSweep.Reason.FACES_OFF
    )
    return {"photos": len(having_had_faces), "faces": len(photo_of), "embeddings": embeddings}


@transaction.atomic
def erase_people(*, library_id: UUID, limit: int) -> dict[str, int]:
    """Erase people of a library, with their names, also in the admin's notes, `limit` of them; gives how many `people`.

    What the next grouping of the library would have had to look at goes too: there are no groups any more; and after
    the last of them what was decided of nobody in particular.
    """
    GroupLoss.objects.filter(library_id=library_id).delete()
    Regrouping.objects.filter(library_id=library_id).delete()
    people = Person.objects.select_for_update().filter(library_id=library_id).order_by("pk")
    chosen = list(people.values_list("pk", flat=True)[:limit])
    if not chosen:
        PersonDecision.objects.filter(library_id=library_id).delete()
    else:
        face_persons.tell_changed(library_id=library_id)
    return {"people": _delete_people(chosen)}


@transaction.atomic
def forget_faces_of_person(*, library_id: UUID, person_id: UUID, photo_ids: Sequence[UUID]) -> dict[str, int]:
    """Erase a person's faces on these photos, and keep detection from finding them there again.

    Gives how many `photos`, `faces` and `embeddings`. The caller keeps stages from the photos. The groups of the faces
    are noted as having lost members; chips go at once, and once more when the last lease there has run out.
    """
    locked = Face.objects.select_for_update().filter(photo_id__in=photo_ids, person_id=person_id).order_by("pk")
    found = list(locked.only("pk", "photo_id", "left", "top", "right", "bottom"))
    FaceSuppression.objects.bulk_create(
        FaceSuppression(photo_id=one.photo_id, left=one.left, top=one.top, right=one.right, bottom=one.bottom)
        for one in found
    )
    ids = [one.pk for one in found]
    embeddings = FaceEmbedding.objects.filter(face_id__in=ids).count()
    face_rows.forget_faces(face_ids=ids)
    having_had_faces = {one.photo_id for one in found}
    shown.refresh(photo_ids=having_had_faces)
    prefixes = [storage.derived_prefix(library_id=library_id, photo_id=one) for one in having_had_faces]
    object_sweeps.request_all(
        sweeps=((storage.RENDITIONS, prefix) for prefix in prefixes), reason=ObjectSweep.Reason.FORGOTTEN
    )
    face_persons.tell_changed(library_id=library_id)
    return {"photos": len(having_had_faces), "faces": len(ids), "embeddings": embeddings}


@transaction.atomic
def delete_person(*, person_id: UUID) -> bool:
    """Delete a person who has no face any more; False, and nothing is done, if one has come or nobody is there."""
    # for update: whoever is about to give the person a face waits, and then finds nobody
    locked = list(Person.objects.select_for_update().filter(pk=person_id).values_list("pk", flat=True))
    if not locked or Face.objects.filter(person_id=person_id).exists():
        return False
    return bool(_delete_people(locked))


@transaction.atomic
def take_name(*, person_id: UUID) -> bool:
    """Take the name of somebody away who is about to be erased, wherever it is kept; False if the person is gone.

    Also the names of those who were merged into the person, and what the name was before it was changed.
    """
    if not Person.objects.filter(pk=person_id).update(name=""):
        return False
    everybody = _with_merged([person_id])
    Person.objects.filter(pk__in=everybody).update(name="")
    named = PersonDecision.objects.filter(kind=DecisionKind.NAME, person__in=everybody)
    named.update(details={"before": "", "after": ""})
    return True


def _delete_people(person_ids: Sequence[UUID]) -> int:
    """Delete people with those who were merged into them, and all that was decided of them; gives how many."""
    everybody = _with_merged(person_ids)
    receipts.blank_admin_log(Person, everybody)
    # undoing would make somebody anew
    FaceLink.objects.filter(before__in=everybody).update(before=None)
    decisions = list(PersonDecision.objects.filter(person__in=everybody).values_list("pk", flat=True))
    PersonDecision.objects.filter(pk__in=decisions, kind=DecisionKind.NAME).delete()
    _, counts = Person.objects.filter(pk__in=everybody).delete()
    # those that say something of the faces of others stay
    PersonDecision.objects.filter(pk__in=decisions, links=None).delete()
    return counts.get("photos.Person", 0)


def _with_merged(person_ids: Sequence[UUID]) -> list[UUID]:
    """Give the keys of people, and of those who were merged into them, and into those."""
    found, last = list(person_ids), list(person_ids)
    while last:
        merged = Person.objects.filter(merged_into__in=last).exclude(pk__in=found)
        last = list(merged.values_list("pk", flat=True))
        found += last
    return found
