"""All that is held on a person, as JSON that is made while it is sent."""

import base64
import json
from collections.abc import Iterator
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.db.models import F, Prefetch
from django.utils import timezone

from accounts.models import AuditAction, User
from accounts.services import audit
from photos import storage
from photos.models import DecisionKind, Face, FaceEmbedding, Person, PersonDecision

FORMAT = 1
# so much is in memory: a face with a chip and two vectors has some 30 kB
FACES_AT_ONCE = 50


@transaction.atomic
def export_person(*, person: Person, by: User | None) -> Iterator[str]:
    """Note that a person is exported; gives the JSON in pieces, read while they are asked for.

    Of each face: the photo, box and landmarks, scores, whose decision it was, its dates, the vector of each model, and
    the chip as base64 of a JPEG (null where the object is missing). Faces on photos in the trash are among them, and
    candidates that were given to the person. Then what was decided of the person: when, what, of which faces, and
    whether it is in force; not by whom, who is somebody else.
    """
    audit.record(action=AuditAction.PERSON_EXPORTED, actor=by, library_id=person.library_id, subject=person)
    return _pieces(person)


def _pieces(person: Person) -> Iterator[str]:
    about = {
        "id": person.pk,
        "library": person.library_id,
        "name": person.name,
        "is_hidden": person.is_hidden,
        "created_at": person.created_at,
        "merged": [{"id": one.pk, "name": one.name} for one in person.merged.order_by("pk")],
    }
    yield f'{{"format": {FORMAT}, "exported_at": {_json(timezone.now())}, "person": {_json(about)}, "faces": ['
    separator = ""
    for face in _faces(person):
        yield f"{separator}{_json(_described(face))}"
        separator = ", "
    yield '], "decisions": ['
    separator = ""
    for decision in PersonDecision.objects.about(person).order_by("pk").iterator(chunk_size=FACES_AT_ONCE):
        yield f"{separator}{_json(_decided(decision, person))}"
        separator = ", "
    yield "]}"


def _decided(decision: PersonDecision, person: Person) -> dict[str, Any]:
    links = decision.links.filter(person=person).order_by("pk").values("face", "in_force", says=F("kind"))
    is_name = decision.kind == DecisionKind.NAME
    return {
        "id": decision.pk,
        "kind": decision.kind,
        "made_at": decision.made_at,
        "undone_at": decision.undone_at,
        "names": [decision.details["before"], decision.details["after"]] if is_name else [],
        "faces": list(links),
    }


def _faces(person: Person) -> Iterator[Face]:
    embeddings = Prefetch("embeddings", FaceEmbedding.objects.order_by("model"))
    faces = Face.objects.filter(person=person).select_related("photo").prefetch_related(embeddings).order_by("pk")
    page = list(faces[:FACES_AT_ONCE])
    while page:
        yield from page
        page = list(faces.filter(pk__gt=page[-1].pk)[:FACES_AT_ONCE])


def _described(face: Face) -> dict[str, Any]:
    embeddings = [
        {"model": one.model, "version": one.version, "vector": [float(value) for value in one.vector]}
        for one in face.embeddings.all()
    ]
    photo = face.photo
    return {
        "id": face.pk,
        "photo": photo.pk,
        "photo_filename": photo.original_filename,
        "photo_uploaded_at": photo.uploaded_at,
        "photo_is_in_trash": photo.trashed_at is not None,
        "found_at": face.created_at,
        "version": face.version,
        "box": [face.left, face.top, face.right, face.bottom],
        "landmarks": face.landmarks,
        "confidence": face.confidence,
        "quality": face.quality,
        "decided_by_somebody": face.person_decided,
        "embeddings": embeddings,
        "chip_jpeg_base64": _chip(face),
    }


def _chip(face: Face) -> str | None:
    try:
        return base64.b64encode(storage.read_object(alias=storage.RENDITIONS, key=face.chip_key)).decode("ascii")
    except FileNotFoundError:
        return None


def _json(value: object) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder)
