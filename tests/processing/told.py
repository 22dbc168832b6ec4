"""Somebody who decides about people and remembers what they said: what no grouping may break."""

from uuid import UUID

from photos.models import Face, Person, PersonDecision
from photos.services import people, person_undo


class Told:
    """Decides through the services, and keeps what was said: who each face is, and who it is not.

    It follows what the documentation promises (docs/people.md), and reads none of the rows that the services keep.
    """

    def __init__(self) -> None:
        self.is_person: dict[UUID, UUID | None] = {}
        self.is_not: set[tuple[UUID, UUID]] = set()
        self.names: dict[UUID, str] = {}
        self.count = 0
        self._before: list[tuple[PersonDecision, tuple]] = []

    def name(self, person: Person, name: str) -> None:
        """Name somebody: their faces are theirs from then on."""
        before = self._now()
        self._hold(person.pk)
        decision = people.rename_person(person=person, name=name)
        self.names[person.pk] = name
        self._said(decision, before)

    def merge(self, into: Person, other: Person) -> None:
        """Make two people one, with all their faces."""
        before = self._now()
        freed = {face for face, person in self.is_not if person in (into.pk, other.pk)}
        here = set(Face.objects.filter(person__in=[into.pk, other.pk]).values_list("pk", flat=True))
        decision = people.merge_people(into=into, people=[other])
        self.is_person |= dict.fromkeys(here - freed, into.pk)
        self.is_not |= {(face, into.pk) for face, person in self.is_not if person == other.pk}
        self.is_not = {(face, person) for face, person in self.is_not if person != other.pk}
        name = self.names.pop(other.pk, "")
        if name:
            self.names.setdefault(into.pk, name)
        self._said(decision, before)

    def split(self, person: Person, faces: list[Face], name: str) -> Person:
        """Make some faces somebody new."""
        before = self._now()
        self._hold(person.pk)
        decision = people.split_person(person=person, face_ids=[face.pk for face in faces], name=name)
        made = decision.details["made"]
        self.is_person |= dict.fromkeys([face.pk for face in faces], UUID(made))
        self.names[UUID(made)] = name
        self._said(decision, before)
        return Person.objects.get(pk=made)

    def move(self, face: Face, person: Person | None) -> None:
        """Say whose a face is."""
        before = self._now()
        self._hold(None if person is None else person.pk)
        self._hold_if_named(face)
        decision = people.decide_face(face=face, person=person)
        self.is_person[face.pk] = None if person is None else person.pk
        if person is not None:
            self.is_not.discard((face.pk, person.pk))
        self._said(decision, before)

    def make(self, face: Face, name: str) -> Person:
        """Say that a face is somebody new."""
        before = self._now()
        self._hold_if_named(face)
        decision = people.decide_face(face=face, person=None, new_name=name)
        self.is_person[face.pk] = face.person_id
        self.names[face.person_id] = name
        self._said(decision, before)
        return face.person

    def reject(self, face: Face) -> None:
        """Say that a face is not the person whose it is."""
        before = self._now()
        person = Face.objects.get(pk=face.pk).person_id
        self._hold(person)
        decision = people.reject_face(face=face)
        self.is_not.add((face.pk, person))
        self._said(decision, before)
        # also where it was the only one: then somebody nameless is gone
        self.is_person.pop(face.pk, None)

    def confirm(self, person: Person) -> None:
        """Say of all faces of somebody that they are."""
        before = self._now()
        self._hold(person.pk)
        self._said(people.confirm_faces(person=person), before)

    def undo(self) -> None:
        """Undo what was said last."""
        if self._before:
            decision, (self.is_person, self.is_not, self.names) = self._before.pop()
            person_undo.undo(decision=decision)

    def broken(self) -> list[str]:
        """Give what does not hold any more."""
        now = dict(Face.objects.values_list("pk", "person"))
        names = dict(Person.objects.values_list("pk", "name"))
        wrong = [f"{face} is {now[face]}" for face, person in self.is_person.items() if now[face] != person]
        wrong += [f"{face} is {person} again" for face, person in self.is_not if now[face] == person]
        return wrong + [f"{person} is no more {name}" for person, name in self.names.items() if names[person] != name]

    def _said(self, decision: PersonDecision | None, before: tuple) -> None:
        """Keep what it was before; what was said already is not said again, and holds nobody anew."""
        self.count += 1
        if decision is not None:
            self._before.append((decision, before))
        else:
            self.is_person, self.is_not, self.names = before

    def _now(self) -> tuple:
        return dict(self.is_person), set(self.is_not), dict(self.names)

    def _hold(self, person: UUID | None) -> None:
        """Note that the faces of somebody are theirs, unless somebody has said whose they are."""
        if person is not None:
            theirs = Face.objects.filter(person=person).values_list("pk", flat=True)
            self.is_person = dict.fromkeys(theirs, person) | self.is_person

    def _hold_if_named(self, face: Face) -> None:
        person = Face.objects.get(pk=face.pk).person
        if person is not None and person.name:
            self._hold(person.pk)
