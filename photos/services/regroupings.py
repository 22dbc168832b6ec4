"""Regroupings as rows: what one would change, and changing exactly that."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from django.db import connection, transaction
from django.db.models import CharField, Count, DecimalField, Func, Sum
from django.db.models.functions import Cast, Now
from uuid_utils.compat import uuid7

from accounts.models import User
from accounts.problems import ConflictError
from photos.models import Face, FaceEmbedding, FaceLink, LibraryThreshold, Person, Regrouping, is_kept
from photos.services.decisions import lock_faces, lock_people_of
from photos.services.face_persons import delete_empty_people, put_faces, tell_changed

ROWS_PER_STATEMENT = 5000


class RegroupingOutdatedError(ConflictError):
    """Faces, vectors or decisions have changed since it was computed: have it computed again."""

    code = "regrouping_outdated"


class RegroupingNotComputedError(ConflictError):
    """It has not been computed yet, or could not be."""

    code = "regrouping_not_computed"


class RegroupingAppliedError(ConflictError):
    """It has been applied."""

    code = "regrouping_applied"


@dataclass(frozen=True, slots=True)
class Move:
    """A face that would be another's; None is nobody."""

    face_id: UUID
    before: UUID | None
    after: UUID | None
    is_new_person: bool


class _Hash(Func):
    """The sum of these does not depend on the order of rows: numeric, so that it does not overflow."""

    template = "hashtextextended(concat_ws(',', %(expressions)s), 0)::numeric"
    output_field = DecimalField(max_digits=40, decimal_places=0)


def basis(*, library_id: UUID, model: str) -> str:
    """Give a hash of all that grouping a library by a model rests on: vectors, whose the faces are, decisions."""
    rows = FaceEmbedding.objects.filter(is_kept("face__"), library_id=library_id, model=model)
    links = FaceLink.objects.filter(in_force=True, decision__library_id=library_id)
    person = Cast("face__person_id", CharField())
    found = [
        rows.aggregate(count=Count("pk"), sum=Sum(_Hash(Cast("pk", CharField()), person))),
        links.aggregate(count=Count("pk"), sum=Sum(_Hash(Cast("pk", CharField())))),
    ]
    return hashlib.sha256(repr([sorted(one.items()) for one in found]).encode()).hexdigest()


@transaction.atomic
def ask(*, library_id: UUID, model: str, threshold: float, by: User | None) -> Regrouping:
    """Keep that a regrouping is asked for, in the place of an earlier one; the same, if it is still to be computed."""
    lock_people_of(library_id)
    wanted = {"model": model, "threshold": threshold}
    same = Regrouping.objects.filter(library_id=library_id, computed_at__isnull=True, **wanted).first()
    if same is not None:
        return same
    Regrouping.objects.filter(library_id=library_id).delete()
    made = Regrouping.objects.create(library_id=library_id, asked_by=by, **wanted)
    made.refresh_from_db()
    return made


@transaction.atomic
def write(*, regrouping: Regrouping, basis: str, moves: Iterable[Move], report: dict[str, object]) -> bool:
    """Keep what a regrouping would change; False, and nothing is kept, if another one has been asked for since."""
    lock_people_of(regrouping.library_id)
    asked = Regrouping.objects.select_for_update().filter(pk=regrouping.pk, computed_at__isnull=True)
    if not asked:
        return False
    for some in _chunks(moves):
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO photos_regroupingmove "
                "(id, regrouping_id, face_id, person_before, person_after, is_new_person) "
                "SELECT given.id, %s, photos_face.id, given.person_before, given.person_after, given.is_new "
                "FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::boolean[]) "
                "AS given (id, face_id, person_before, person_after, is_new) "
                # one that is gone meanwhile makes it outdated
                "JOIN photos_face ON photos_face.id = given.face_id",
                [
                    regrouping.pk,
                    [uuid7() for _ in some],
                    [one.face_id for one in some],
                    [one.before for one in some],
                    [one.after for one in some],
                    [one.is_new_person for one in some],
                ],
            )
    asked.update(computed_at=Now(), basis=basis, report=report)
    return True


@transaction.atomic
def refuse(*, regrouping: Regrouping, reason: str) -> None:
    """Keep that a regrouping cannot be computed, and why."""
    asked = Regrouping.objects.filter(pk=regrouping.pk, computed_at__isnull=True)
    asked.update(computed_at=Now(), report={"refused": reason})


def apply(*, regrouping_id: UUID, by: User | None) -> int:
    """Change exactly what a regrouping said it would, and keep its threshold; gives how many faces were moved.

    In the caller's transaction, which has locked the library's people. Raises RegroupingNotComputedError,
    RegroupingAppliedError, RegroupingOutdatedError.
    """
    regrouping = Regrouping.objects.select_for_update().filter(pk=regrouping_id).first()
    if regrouping is None:
        raise RegroupingOutdatedError("Another regrouping was asked for meanwhile.")
    if regrouping.computed_at is None or not regrouping.basis:
        raise RegroupingNotComputedError("There is nothing to apply: it was not computed.")
    if regrouping.applied_at is not None:
        raise RegroupingAppliedError("It has been applied.")
    library_id = regrouping.library_id
    moves = list(regrouping.moves.order_by("face"))
    lock_faces(pk__in=[move.face_id for move in moves])
    if basis(library_id=library_id, model=regrouping.model) != regrouping.basis:
        raise RegroupingOutdatedError("Faces or decisions have changed since it was computed: have it computed again.")
    new = {move.person_after for move in moves if move.is_new_person}
    Person.objects.bulk_create(Person(pk=pk, library_id=library_id) for pk in sorted(new))
    moved = put_faces(persons={move.face_id: move.person_after for move in moves})
    delete_empty_people(library_id=library_id, among={move.person_before for move in moves})
    LibraryThreshold.objects.update_or_create(
        library_id=library_id,
        model=regrouping.model,
        defaults={"threshold": regrouping.threshold, "changed_by": by, "changed_at": Now()},
    )
    regrouping.moves.all().delete()
    Regrouping.objects.filter(pk=regrouping.pk).update(applied_at=Now())
    tell_changed(library_id=library_id, faces_moved=moved)
    return moved


def people_with_faces_elsewhere(*, library_id: UUID, model: str) -> set[UUID]:
    """Give the people who have faces that a grouping by a model does not read."""
    read = FaceEmbedding.objects.filter(is_kept("face__"), library_id=library_id, model=model).values("face")
    others = Face.objects.filter(photo__library=library_id, person__isnull=False).exclude(pk__in=read)
    return set(others.order_by().values_list("person", flat=True).distinct())


def _chunks(moves: Iterable[Move]) -> Iterator[list[Move]]:
    rest = iter(moves)
    while some := list(islice(rest, ROWS_PER_STATEMENT)):
        yield some
