"""Having people, faces and libraries erased: asked for here, done by library runs, each with its receipt."""

from django.db import transaction
from django.db.models.functions import Now

from accounts.models import ErasureKind, ErasureReceipt, Library, User
from accounts.problems import InvalidValueError, NotFoundError
from accounts.services import erasure as receipts
from photos.models import Face, FaceEmbedding, Person, Photo
from processing.kinds.erase_faces import ERASE
from processing.kinds.forget import FORGETTING
from processing.models import LibraryRun, RunState
from processing.pipeline.planning import lock_plan_for_change
from processing.services.face_analysis import switch_face_analysis
from processing.stages.base import SUPERSEDED


@transaction.atomic
def forget_person(*, person: Person, by: User | None) -> ErasureReceipt:
    """Have a person erased with all faces, and kept from being found again in the same places; gives the receipt.

    The name goes at once, the rest by a library run. Raises NotFoundError if the person is gone.
    """
    # the run's row before the person's, as its last step takes them
    _request(library_id=person.library_id, subject=str(person.pk))
    if not Person.objects.filter(pk=person.pk).update(name=""):
        raise NotFoundError("The person is gone: the faces were given to others, or erased.")
    receipt, _ = receipts.begin(kind=ErasureKind.PERSON, subject=person, library_id=person.library_id, by=by)
    return receipt


@transaction.atomic
def forget_faces(*, library: Library, by: User | None) -> ErasureReceipt:
    """Have all faces and people of a library erased; gives the receipt.

    Face analysis is switched off with it: left on, it would find them all again.
    """
    switch_face_analysis(library=library, enabled=False, by=by)
    lock_plan_for_change()
    receipt, is_new = receipts.begin(kind=ErasureKind.FACES, subject=library, library_id=library.pk, by=by)
    if is_new:
        ERASE.request(library_ids=[library.pk])
    return receipt


@transaction.atomic
def forget_library(*, library: Library, by: User | None, name: str | None = None) -> ErasureReceipt:
    """Have a library erased with everything in it; gives the receipt.

    Nobody is let into it from the end of this on; rows and objects go by a library run. `name` is what somebody typed
    to show that it is this one that they mean. Raises InvalidValueError for another, NotFoundError if it is gone.
    """
    if name is not None and name != library.name:
        raise InvalidValueError("Type the library's name to have it erased.", field="name")
    lock_plan_for_change()
    if not Library.objects.filter(pk=library.pk).update(erasure_requested_at=Now()):
        raise NotFoundError("The library is gone.")
    _request(library_id=library.pk, subject="")
    receipt, _ = receipts.begin(kind=ErasureKind.LIBRARY, subject=library, library_id=library.pk, by=by)
    return receipt


def extent_of_person(person: Person) -> dict[str, int]:
    """Count what goes with a person."""
    faces = Face.objects.filter(person=person)
    return {
        "photos": faces.values("photo_id").distinct().count(),
        "faces": faces.count(),
        "embeddings": FaceEmbedding.objects.filter(face__person=person).count(),
    }


def extent_of_faces(library: Library) -> dict[str, int]:
    """Count what goes with all faces of a library."""
    faces = Face.objects.filter(photo__library=library)
    return {
        "photos": faces.values("photo_id").distinct().count(),
        "faces": faces.count(),
        "embeddings": FaceEmbedding.objects.filter(library=library).count(),
        "people": Person.objects.filter(library=library).count(),
    }


def extent_of_library(library: Library) -> dict[str, int]:
    """Count what goes with a library."""
    photos = Photo.objects.filter(library=library).count()
    return extent_of_faces(library) | {"photos": photos, "members": library.memberships.count()}


def _request(*, library_id: object, subject: str) -> None:
    dead = LibraryRun.objects.filter(library_id=library_id, kind=FORGETTING.name, subject=subject, state=RunState.DEAD)
    dead.update(state=RunState.SKIPPED, skip_reason=SUPERSEDED)
    FORGETTING.request(library_ids=[library_id], subject=subject)
