"""Having people, faces and libraries erased: asked for here, done by library runs, each with its receipt."""

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction
from django.db.models import Sum
from django.db.models.functions import Now

from accounts.access import require
from accounts.models import ErasureKind, ErasureReceipt, Library, User
from accounts.problems import InvalidValueError, NotFoundError
from accounts.roles import Permission
from accounts.services import erasure as receipts
from photos.models import Face, FaceEmbedding, ImageEmbedding, Person, Photo
from photos.services import erasure
from photos.services.face_persons import refresh_photos_of
from processing.kinds.erase_faces import ERASE
from processing.kinds.forget import FORGETTING
from processing.models import LibraryRun, RunState
from processing.pipeline.planning import lock_plan_for_change
from processing.services.face_analysis import switch_face_analysis

# what somebody must hold in the library; a command asks for nothing more than the host
PERSON_TAKES = (Permission.EDIT_PEOPLE, Permission.SWITCH_FACE_ANALYSIS)
FACES_TAKE = (Permission.SWITCH_FACE_ANALYSIS,)
LIBRARY_TAKES = (Permission.EDIT_LIBRARY, Permission.PURGE_PHOTOS, Permission.SWITCH_FACE_ANALYSIS)


@transaction.atomic
def forget_person(*, person: Person, by: User | None) -> ErasureReceipt:
    """Have a person erased with all faces, and kept from being found again in the same places; gives the receipt.

    The name goes at once, the rest by a library run. Raises NotPermittedError unless `by` holds PERSON_TAKES,
    NotFoundError if the person is gone.
    """
    _require(by, PERSON_TAKES, library_id=person.library_id)
    # the run's row before the person's, as its last step takes them
    FORGETTING.request(library_ids=[person.library_id], subject=str(person.pk))
    if not erasure.take_name(person_id=person.pk):
        raise NotFoundError("The person is gone: the faces were given to others, or erased.")
    refresh_photos_of(person_ids=[person.pk])
    receipt, _ = receipts.begin(kind=ErasureKind.PERSON, subject=person, library_id=person.library_id, by=by)
    return receipt


@transaction.atomic
def forget_faces(*, library: Library, by: User | None) -> ErasureReceipt:
    """Have all faces and people of a library erased; gives the receipt.

    Face analysis is switched off with it: left on, it would find them all again. Raises NotPermittedError unless `by`
    holds FACES_TAKE, NotFoundError if the library is gone.
    """
    _require(by, FACES_TAKE, library_id=library.pk)
    switch_face_analysis(library=library, enabled=False, by=by)
    lock_plan_for_change()
    # off already, the switch has asked for nothing; and of what it asked for before, the run may be dead
    ERASE.request(library_ids=[library.pk])
    receipt, _ = receipts.begin(kind=ErasureKind.FACES, subject=library, library_id=library.pk, by=by)
    return receipt


@transaction.atomic
def forget_library(*, library: Library, by: User | None, name: str | None = None) -> ErasureReceipt:
    """Have a library erased with everything in it; gives the receipt.

    Nobody is let into it from the end of this on; rows and objects go by a library run. `name` is what somebody typed
    to show that it is this one that they mean. Raises NotPermittedError unless `by` holds LIBRARY_TAKES,
    InvalidValueError for another name, NotFoundError if it is gone, or goes already; a command may ask for
    it once more.
    """
    _require(by, LIBRARY_TAKES, library_id=library.pk)
    if name is not None and name != library.name:
        raise InvalidValueError("Type the library's name to have it erased.", field="name")
    lock_plan_for_change()
    if not Library.objects.filter(pk=library.pk).update(erasure_requested_at=Now()):
        raise NotFoundError("The library is gone.")
    FORGETTING.request(library_ids=[library.pk])
    receipt, _ = receipts.begin(kind=ErasureKind.LIBRARY, subject=library, library_id=library.pk, by=by)
    return receipt


def dead_run_of(receipt: ErasureReceipt) -> LibraryRun | None:
    """Give the run that died of an erasure which has not ended; none where one is open, or nothing was asked for."""
    kind = ERASE.name if receipt.kind == ErasureKind.FACES else FORGETTING.name
    subject = str(receipt.subject_id) if receipt.kind == ErasureKind.PERSON else ""
    runs = LibraryRun.objects.filter(library_id=receipt.library_id, kind=kind, subject=subject)
    last = runs.order_by("-pk").first()
    return last if last is not None and last.state == RunState.DEAD else None


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
    """Count what goes with a library. The links of its shares open nothing any more from the first moment on."""
    photos = Photo.objects.filter(library=library)
    faces = extent_of_faces(library)
    return faces | {
        "photos": photos.count(),
        "embeddings": faces["embeddings"] + ImageEmbedding.objects.filter(library=library).count(),
        "bytes": photos.aggregate(total=Sum("byte_size", default=0))["total"],
        "members": library.memberships.count(),
        "api_keys": library.api_keys.count(),
        # by what the library is called there: who shares is of a layer above
        "shares": library.shares.count(),
        "uploads": library.uploads.count(),
    }


def _require(by: User | None, permissions: Iterable[Permission], *, library_id: UUID) -> None:
    if by is None:
        return
    if not Library.objects.filter(pk=library_id, erasure_requested_at__isnull=True).exists():
        raise NotFoundError("The library is gone, or is being erased.")
    for permission in permissions:
        require(by, permission, library_id=library_id)
