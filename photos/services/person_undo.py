"""Undoing a decision about people: as one act, and only while nothing later rests on it."""

from collections.abc import Collection, Iterable
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models import User
from accounts.problems import ConflictError, NotFoundError
from photos.models import DecisionKind, Face, FaceLink, LinkKind, Person, PersonDecision
from photos.services.decisions import (
    FREE,
    MUST,
    lock_faces,
    lock_people_of,
    refresh,
    refuse_if_forgotten,
    resolve,
    verdicts_of,
)
from photos.services.face_persons import delete_empty_people, put_faces, refresh_photos_of, tell_changed

# of these only the last one of a person can be undone
_PROPERTIES = (
    (DecisionKind.NAME,),
    (DecisionKind.HIDE, DecisionKind.SHOW),
    (DecisionKind.COVER,),
)


class AlreadyUndoneError(ConflictError):
    """Somebody has undone it."""

    code = "already_undone"


class DecidedSinceError(ConflictError):
    """A later decision rests on it, which `decision` names and `kind` describes: undo that one first."""

    code = "decided_since"


@transaction.atomic
def undo(*, decision: PersonDecision, by: User | None = None) -> PersonDecision:
    """Undo a decision: faces go back to whom they were of, and what it had ended is in force again.

    Raises AlreadyUndoneError, DecidedSinceError, BeingForgottenError, NotFoundError if it is gone.
    """
    lock_people_of(decision.library_id)
    locked = PersonDecision.objects.select_for_update(no_key=True).filter(pk=decision.pk).first()
    if locked is None:
        raise NotFoundError("The decision is gone.")
    if locked.undone_at is not None:
        raise AlreadyUndoneError("It has been undone already.")
    _refuse_if_decided_since(locked)
    own = list(locked.links.filter(in_force=True).order_by("pk"))
    ended = list(locked.ended_links.order_by("pk"))
    concerned = {link.face_id for link in [*own, *ended]}
    lock_faces(Q(pk__in=concerned) | Q(person__in=_receivers(own)))
    people = _people_of(locked, own)
    list(Person.objects.select_for_update(no_key=True).filter(pk__in=people).order_by("pk").values_list("pk"))
    refuse_if_forgotten(*people)
    PersonDecision.objects.filter(pk=locked.pk).update(undone_at=Now(), undone_by=by)
    FaceLink.objects.filter(pk__in=[link.pk for link in own]).update(in_force=False)
    _undo_of_person(locked)
    for link in ended:
        _revive(link)
    put_faces(persons={**_persons_before(own, library_id=locked.library_id), **_followers(own)})
    refresh(concerned)
    refresh_photos_of(person_ids=people)
    delete_empty_people(library_id=locked.library_id, among=people)
    tell_changed(library_id=locked.library_id)
    locked.refresh_from_db()
    return locked


def _refuse_if_decided_since(decision: PersonDecision) -> None:
    """Raise DecidedSinceError if a later decision has said more of its faces, or of a person that it made or merged."""
    # a face that it had only held with its person is no matter of it
    over = decision.links.exclude(ended_by=None).exclude(kind=LinkKind.HELD, before=F("person"))
    blocking = Q(pk__in=over.values("ended_by"))
    if decision.person_id:
        blocking |= Q(kind=DecisionKind.MERGE, details__people__contains=str(decision.person_id))
        for kinds in _PROPERTIES:
            if decision.kind in kinds:
                blocking |= Q(person=decision.person_id, kind__in=kinds, pk__gt=decision.pk)
    if made := decision.details.get("made"):
        linked = FaceLink.objects.filter(in_force=True, person=made)
        blocking |= Q(person=made) | Q(pk__in=linked.values("decision"))
    others = PersonDecision.objects.in_force().filter(library=decision.library_id).exclude(pk=decision.pk)
    found = others.filter(blocking).order_by("-pk").first()
    if found is not None:
        raise DecidedSinceError(
            "A later decision rests on it: undo that one first.", decision=str(found.pk), kind=found.kind
        )


def _people_of(decision: PersonDecision, links: Iterable[FaceLink]) -> set[UUID]:
    """Give the keys of all whom undoing it may concern."""
    named = [decision.person_id, *map(UUID, decision.details.get("people", []))]
    linked = [one for link in links for one in (link.person_id, link.before)]
    made = decision.details.get("made")
    return {one for one in [*named, *linked, made and UUID(made)] if one}


def _undo_of_person(decision: PersonDecision) -> None:
    """Undo what it has changed of people themselves, where nobody has changed it again."""
    people = Person.objects.filter(pk=decision.person_id)
    details = decision.details
    if decision.kind == DecisionKind.NAME:
        people.filter(name=details["after"]).update(name=details["before"])
    elif decision.kind in (DecisionKind.HIDE, DecisionKind.SHOW):
        people.update(is_hidden=decision.kind == DecisionKind.SHOW)
    elif decision.kind == DecisionKind.COVER:
        people.filter(chosen_cover=details["after"]).update(chosen_cover=details["before"])
    elif decision.kind == DecisionKind.MERGE:
        if namesake := details.get("named_after"):
            people.filter(name__in=Person.objects.filter(pk=namesake).values("name")).update(name="")
        Person.objects.filter(pk__in=details["people"], merged_into=decision.person_id).update(merged_into=None)
    if made := details.get("made"):
        # who has faces yet, by a grouping, is somebody without a name, until the next one
        Person.objects.filter(pk=made).update(name="")


def _revive(link: FaceLink) -> None:
    """Put a link in force again that the undone decision had ended, unless something later says otherwise.

    Then that is what ends it, and undoing that will put it in force. Whom it names may have been merged since: then the
    merging has carried it over.
    """
    person_id = link.person_id and resolve(link.person_id)
    links = FaceLink.objects.filter(in_force=True, face=link.face_id)
    if link.kind in MUST:
        others = links.filter(Q(kind__in=MUST) | Q(kind=LinkKind.IS_NOT, person=person_id))
    else:
        others = links.filter(person=person_id)
    other = others.first()
    if other is not None:
        FaceLink.objects.filter(pk=link.pk).update(ended_by=other.decision_id)
    elif person_id == link.person_id:
        FaceLink.objects.filter(pk=link.pk).update(in_force=True, ended_by=None)
    else:
        merging = PersonDecision.objects.in_force().filter(
            kind=DecisionKind.MERGE, details__people__contains=str(link.person_id)
        )
        decision = merging.order_by("pk").first()
        FaceLink.objects.filter(pk=link.pk).update(ended_by=decision)
        FaceLink.objects.create(
            decision=decision, face_id=link.face_id, person_id=person_id, kind=link.kind, before=link.person_id
        )


def _persons_before(links: Collection[FaceLink], *, library_id: UUID) -> dict[UUID, UUID | None]:
    """Give whose the faces of undone links are again: whoever they are said to be, else whose they were before."""
    verdicts = verdicts_of(link.face_id for link in links)
    persons: dict[UUID, UUID | None] = {}
    for link in links:
        verdict = verdicts.get(link.face_id, FREE)
        if link.kind == LinkKind.IS_NOT and link.before != link.person_id:
            continue
        before = verdict.person_id if verdict.is_pinned else link.before and _there(link.before, library_id)
        persons[link.face_id] = None if before in verdict.barred else before
    return persons


def _receivers(links: Iterable[FaceLink]) -> set[UUID]:
    """Give those to whom links had given faces that were not theirs."""
    return {link.person_id for link in links if link.kind in MUST and link.person_id and link.person_id != link.before}


def _followers(links: Collection[FaceLink]) -> dict[UUID, None]:
    """Give the faces that were somebody's by likeness to those given back alone: they are nobody's until a grouping."""
    pinned = FaceLink.objects.filter(in_force=True, kind__in=MUST).exclude(person=None).values("person")
    alone = Face.objects.filter(person__in=_receivers(links)).exclude(person__in=pinned)
    return dict.fromkeys(alone.exclude(pk__in=[link.face_id for link in links]).values_list("pk", flat=True))


def _there(person_id: UUID, library_id: UUID) -> UUID:
    """Give a person of the past: whom they were merged into, or themselves, made anew if they went without a name."""
    found = resolve(person_id)
    if found is None:
        Person.objects.create(pk=person_id, library_id=library_id)
    return found or person_id
