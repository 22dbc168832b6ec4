"""From clusters to persons: who keeps an id, a name, a human's decision, when a library was regrouped."""

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from processing.engines.grouping.units import Metric, Units, by_content, faces

PersonId = TypeVar("PersonId", bound=Hashable)


@dataclass(frozen=True)
class NewPerson:
    """A person that has to be made; ordinals count from 0 in content order of the clusters."""

    ordinal: int


@dataclass(frozen=True)
class Assignment(Generic[PersonId]):
    """Who is on which face.

    persons: one per face, None for nobody; vacated: ascending, persons who had one of these faces and have
    none now. They may still have faces that were not part of this regrouping.
    """

    persons: tuple[PersonId | NewPerson | None, ...]
    vacated: tuple[PersonId, ...]


def assign_persons(
    labels: np.ndarray,
    *,
    vectors: np.ndarray,
    metric: Metric,
    previous: Sequence[PersonId | None],
    named: Collection[PersonId],
    pinned: Mapping[int, PersonId | None],
) -> Assignment[PersonId]:
    """Give every face of a regrouping its person.

    labels: (k,) clusters, -1 for a lone face; vectors: (k, d); previous: (k,) the person each face had;
    named: persons with a name, or with any decision of a human, also elsewhere in the library; pinned: faces
    (0 to k-1) whose person a human decided, None for "nobody". Ids must be orderable; where nothing else
    decides, the smaller one (with UUIDv7: the older person) wins.

    - A pinned face keeps its person. A pinned person counts as named.
    - A named person claims the cluster with most of its faces, every cluster where they are more than half,
      and every cluster with a face pinned to it. So a named person that had faces keeps some, and a single
      face that was misplaced does not carry its name into a cluster of strangers.
    - In a claimed cluster faces of named persons stay with them: none passes from one name to another without
      a human. The others go to the claimant; of several, to the one whose faces there are nearest (mean
      squared distance).
    - Other clusters take over the unnamed person with whom they share most faces, each person once; the rest
      are new.
    - A lone face is nobody, unless its named person would be left without any of these faces.
    """
    units = faces(vectors, metric)
    held = [pinned.get(face, person) for face, person in enumerate(previous)]
    anchored = set(named) | {person for person in pinned.values() if person is not None}
    clusters = _clusters(labels, np.argsort(by_content(units.mean), kind="stable"), pinned)
    claims = _claims(clusters, held, anchored, pinned)
    unclaimed = {label: members for label, members in clusters.items() if label not in claims}

    persons: list[PersonId | NewPerson | None] = [pinned.get(face) for face in range(len(held))]
    for label, claimants in claims.items():
        for face, person in _claimed(units, clusters[label], held, anchored, claimants).items():
            persons[face] = person
    for label, person in _unnamed(unclaimed, held, anchored).items():
        for face in unclaimed[label]:
            persons[face] = person

    placed = set(persons)
    for face, person in enumerate(held):
        if persons[face] is None and person in anchored and person not in placed:
            persons[face] = person
    vacated = {person for person in previous if person is not None} - set(persons)
    return Assignment(tuple(persons), tuple(sorted(vacated)))


def _clusters(labels: np.ndarray, order: np.ndarray, pinned: Mapping[int, PersonId | None]) -> dict[int, list[int]]:
    """Members of each cluster in content order, without those that a human decided to be nobody.

    Clusters of which fewer than two faces remain are left out.
    """
    clusters: dict[int, list[int]] = defaultdict(list)
    for face in order.tolist():
        nobody = face in pinned and pinned[face] is None
        if labels[face] >= 0 and not nobody:
            clusters[int(labels[face])].append(face)
    return {label: members for label, members in sorted(clusters.items()) if len(members) > 1}


def _claims(
    clusters: Mapping[int, list[int]],
    held: Sequence[PersonId | None],
    anchored: Collection[PersonId],
    pinned: Mapping[int, PersonId | None],
) -> dict[int, list[PersonId]]:
    """Claimants of each cluster that has any, ascending."""
    shares: dict[PersonId, Counter[int]] = defaultdict(Counter)
    claims: dict[int, set[PersonId]] = defaultdict(set)
    for label, members in clusters.items():
        for face in members:
            if held[face] in anchored:
                shares[held[face]][label] += 1
            if face in pinned:
                claims[label].add(pinned[face])
    for person, share in shares.items():
        claims[min(share, key=lambda label: (-share[label], label))].add(person)
        for label, count in share.items():
            if 2 * count > len(clusters[label]):
                claims[label].add(person)
    return {label: sorted(claimants) for label, claimants in claims.items()}


def _claimed(
    units: Units,
    members: list[int],
    held: Sequence[PersonId | None],
    anchored: Collection[PersonId],
    claimants: list[PersonId],
) -> dict[int, PersonId]:
    """The person of each member of a claimed cluster."""
    persons = {face: held[face] for face in members if held[face] in anchored}
    free = [face for face in members if face not in persons]
    if not free:
        return persons
    nearness = []
    for claimant in claimants:
        own = units[np.array([face for face in members if held[face] == claimant])]
        side = own.merged(np.zeros(len(own), np.int64))
        # The square of the face itself is the same for all claimants.
        nearness.append(side.square - 2 * (units.mean[free] * side.mean).sum(axis=1))
    nearest = np.argmin(nearness, axis=0)
    return persons | {face: claimants[choice] for face, choice in zip(free, nearest, strict=True)}


def _unnamed(
    clusters: Mapping[int, list[int]], held: Sequence[PersonId | None], anchored: Collection[PersonId]
) -> dict[int, PersonId | NewPerson]:
    """A person for each cluster that no name claims: greatest overlaps first, then new ones."""
    overlaps = Counter(
        (label, held[face])
        for label, members in clusters.items()
        for face in members
        if held[face] is not None and held[face] not in anchored
    )
    chosen: dict[int, PersonId | NewPerson] = {}
    taken: set[PersonId] = set()
    for label, person in sorted(overlaps, key=lambda pair: (-overlaps[pair], *pair)):
        if label not in chosen and person not in taken:
            chosen[label] = person
            taken.add(person)
    for ordinal, label in enumerate(label for label in clusters if label not in chosen):
        chosen[label] = NewPerson(ordinal)
    return chosen
