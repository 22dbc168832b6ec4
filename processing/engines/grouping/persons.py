"""From clusters to persons: decisions first, then who keeps an id when a library was regrouped."""

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from processing.engines.grouping.units import Metric, by_content, faces

PersonId = TypeVar("PersonId", bound=Hashable)


@dataclass(frozen=True)
class NewPerson:
    """A person that has to be made; ordinals count from 0 in content order of the clusters."""

    ordinal: int


@dataclass(frozen=True)
class Verdicts(Generic[PersonId]):
    """What people have decided of k faces, by their indices.

    pinned: who a face is, None for nobody; held: those of the pinned on whom nobody has decided one by one, but who
    were somebody's when something was decided of that person; barred: who a face is not; anchored: all who have a
    face pinned to them, also elsewhere in the library; cherished: people whom it would be a pity to lose, since they
    have a name.
    """

    pinned: Mapping[int, PersonId | None] = field(default_factory=dict)
    held: Collection[int] = ()
    barred: Mapping[int, Collection[PersonId]] = field(default_factory=dict)
    anchored: Collection[PersonId] = ()
    cherished: Collection[PersonId] = ()


def assign_persons(
    labels: np.ndarray,
    *,
    vectors: np.ndarray,
    metric: Metric,
    previous: Sequence[PersonId | None],
    verdicts: Verdicts[PersonId],
) -> tuple[PersonId | NewPerson | None, ...]:
    """Give every face of a regrouping its person, None for nobody.

    labels: (k,) clusters as `regroup` gives them under the same decisions, -1 for a lone face; vectors: (k, d);
    previous: (k,) the person each face had. Ids must be orderable; where nothing else decides, the smaller one (with
    UUIDv7: the older person) wins.

    - A pinned face is its person, whatever its cluster. Clusters in which two persons have faces do not exist.
    - The others of its cluster follow a face that somebody decided on. They follow held faces where these are at
      least two, or half of the cluster: a single one may have been misplaced among somebody's faces, and is not to
      carry a name into a crowd of strangers.
    - Other clusters take over the person with whom they share most faces, somebody with a name rather than without,
      each person once; the rest are new. Nobody to whom a face is pinned is given away like that, and no face gets
      a person that it is not.
    - A lone face is nobody.

    But for the last ids, all of that is a function of the clusters and the decisions: who is together with whom does
    not depend on who was before.
    """
    units = faces(vectors, metric)
    order = np.argsort(by_content(units.mean), kind="stable")
    persons: list[PersonId | NewPerson | None] = [verdicts.pinned.get(face) for face in range(len(labels))]
    unclaimed: dict[int, list[int]] = {}
    for label, members in _clusters(labels, order).items():
        free = [face for face in members if face not in verdicts.pinned]
        claimant = _claimant(members, verdicts)
        if claimant is None:
            unclaimed[label] = free
            continue
        for face in free:
            persons[face] = claimant
    for label, person in _unclaimed(unclaimed, previous, verdicts).items():
        for face in unclaimed[label]:
            persons[face] = person
    return tuple(persons)


def _clusters(labels: np.ndarray, order: np.ndarray) -> dict[int, list[int]]:
    """Members of each cluster in content order; clusters by their number."""
    clusters: dict[int, list[int]] = defaultdict(list)
    for face in order.tolist():
        if labels[face] >= 0:
            clusters[int(labels[face])].append(face)
    return dict(sorted(clusters.items()))


def _claimant(members: Sequence[int], verdicts: Verdicts[PersonId]) -> PersonId | None:
    """Give the person whom a cluster follows, if there is one."""
    pinned = [face for face in members if face in verdicts.pinned]
    if not pinned:
        return None
    is_said = any(face not in verdicts.held for face in pinned)
    is_enough = len(pinned) > 1 or 2 * len(pinned) >= len(members)
    return verdicts.pinned[pinned[0]] if is_said or is_enough else None


def _unclaimed(
    clusters: Mapping[int, list[int]], previous: Sequence[PersonId | None], verdicts: Verdicts[PersonId]
) -> dict[int, PersonId | NewPerson]:
    """A person for each cluster that follows nobody: names and greatest overlaps first, then new ones."""
    overlaps = Counter(
        (label, previous[face])
        for label, members in clusters.items()
        for face in members
        if previous[face] is not None and previous[face] not in verdicts.anchored
    )
    barred = {
        (label, person)
        for label, members in clusters.items()
        for face in members
        for person in verdicts.barred.get(face, ())
    }
    chosen: dict[int, PersonId | NewPerson] = {}
    taken: set[PersonId] = set()
    for label, person in sorted(overlaps, key=lambda pair: (pair[1] not in verdicts.cherished, -overlaps[pair], *pair)):
        if label not in chosen and person not in taken and (label, person) not in barred:
            chosen[label] = person
            taken.add(person)
    for ordinal, label in enumerate(label for label in clusters if label not in chosen):
        chosen[label] = NewPerson(ordinal)
    return chosen
