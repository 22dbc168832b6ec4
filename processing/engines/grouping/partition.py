"""Grouping a library's faces: from scratch, or only what a change touches, with equal results."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from processing.engines.grouping.components import join
from processing.engines.grouping.limits import NOBODY, UNKNOWN, Decisions, Limits
from processing.engines.grouping.linkage import cluster_components
from processing.engines.grouping.units import Metric, Units, by_content, faces, squared_cut

CAP = 4000  # two float64 matrices of 128 MB each


@dataclass(frozen=True)
class Regrouping:
    """What a change touched: faces that are not in `touched` keep their component and their cluster.

    touched: (k,) int64, ascending indices of faces; components: (k,) int64 >= 0, to be stored with the faces
    and given back; labels: (k,) int64, clusters from 0 in an order that content alone decides, -1 for a lone
    face.
    """

    touched: np.ndarray
    components: np.ndarray
    labels: np.ndarray


def group(
    vectors: np.ndarray, *, threshold: float, metric: Metric, cap: int = CAP, decisions: Decisions | None = None
) -> np.ndarray:
    """Clusters of all faces (n, d) from scratch: labels (n,) int64 as in `Regrouping`. See `regroup`."""
    unknown, rule = np.full(len(vectors), -1), {"threshold": threshold, "metric": metric, "cap": cap}
    return regroup(vectors, unknown, frozenset(), decisions=decisions, **rule).labels


def regroup(
    vectors: np.ndarray,
    components: np.ndarray,
    lost_components: AbstractSet[int],
    *,
    threshold: float,
    metric: Metric,
    cap: int = CAP,
    decisions: Decisions | None = None,
) -> Regrouping:
    """Group what a change touches of a library; the whole then equals grouping all of it from scratch.

    Faces are linked where their distance is at most `threshold`; connected faces make a component, and each
    component is cut into clusters by average linkage at `threshold`. Average means the mean cosine distance,
    or the root of the mean squared Euclidean distance. A cluster of one face is no cluster.

    No cluster has faces that are pinned to two persons, nor one that is not the person to whom another is pinned;
    who is pinned to nobody is in none. Decisions shape clusters and not components.

    vectors: (n, d) embeddings of every face of the library; components: (n,) the component that an earlier
    run of the same threshold and metric gave the face, -1 if none did (a new face, or one whose vector
    changed); lost_components: components that lost a face since (removed, or its vector changed), and those of
    faces on which decisions have changed; cap: see `cluster_components`, it bounds memory and does not shape the
    result.

    A component's id is a hash of its first face in content order: equal sets of vectors have equal ids, no
    counter is kept, and a collision only makes two components be recomputed together. Raises ValueError for
    what `faces` and `squared_cut` refuse.
    """
    units, cut = faces(vectors, metric), squared_cut(threshold, metric)
    joined, touched = _touched(units, cut, np.asarray(components, np.int64), lost_components)
    if not len(touched):
        return Regrouping(touched, np.empty(0, np.int64), np.empty(0, np.int64))

    # Equal vectors merge first in any case (at height 0) if they may, so they are one unit from the start. Sorted
    # by content, and then by what was decided, the units have forgotten the order of arrival.
    who, barred = _decided(touched, decisions)
    first, unit_of, counts = _distinct(units.mean[touched], who, barred)
    distinct = units[touched[first]]
    distinct = Units(distinct.mean, distinct.square, counts.astype(np.float64))
    component_of = joined[touched[first]]
    limits = Limits(who[first], {unit: barred[face] for unit, face in enumerate(first.tolist()) if face in barred})
    clusters = _clustered(distinct, component_of, limits, cut=cut, cap=cap)
    return Regrouping(
        touched=touched,
        components=_component_ids(distinct.mean, component_of)[unit_of],
        # two equal faces of nobody are one unit, and no cluster
        labels=_without_lone(clusters, np.where(limits.who == NOBODY, 0, counts))[unit_of],
    )


def _decided(touched: np.ndarray, decisions: Decisions | None) -> tuple[np.ndarray, dict[int, frozenset[int]]]:
    """Give what was decided of the faces `touched` (t,), by their places there: who (t,) int64, and who not."""
    who = np.full(len(touched), UNKNOWN)
    if decisions is None:
        return who, {}
    places = {face: place for place, face in enumerate(touched.tolist())}
    for face, person in decisions.pinned.items():
        if face in places:
            who[places[face]] = person
    barred = {places[face]: persons for face, persons in decisions.barred.items() if face in places and persons}
    return who, barred


def _distinct(
    rows: np.ndarray, who: np.ndarray, barred: dict[int, frozenset[int]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the faces (t,) that differ, in content order: the first of each unit, each face's unit, faces per unit."""
    _, first, unit_of, counts = np.unique(by_content(rows), return_index=True, return_inverse=True, return_counts=True)
    if not barred and not (who != UNKNOWN).any():
        return first, unit_of, counts
    sets = sorted({frozenset(), *barred.values()}, key=sorted)
    number = {persons: place for place, persons in enumerate(sets)}
    not_whom = np.zeros(len(who), np.int64)
    for face, persons in barred.items():
        not_whom[face] = number[persons]
    keys = np.column_stack([unit_of, who, not_whom])
    _, first, unit_of, counts = np.unique(keys, axis=0, return_index=True, return_inverse=True, return_counts=True)
    return first, unit_of.reshape(-1), counts


def _clustered(units: Units, components: np.ndarray, limits: Limits, *, cut: float, cap: int) -> np.ndarray:
    """Cluster units, those of nobody each by itself: labels (m,) from 0, numbered by first unit."""
    free = np.flatnonzero(limits.who != NOBODY)
    own = limits[free]
    clusters = np.arange(len(units))
    found = cluster_components(units[free], components[free], cut=cut, cap=cap, limits=own or None)
    _, first = np.unique(found, return_index=True)
    clusters[free] = free[first][found]
    return np.unique(clusters, return_inverse=True)[1]


def _touched(
    units: Units, cut: float, components: np.ndarray, lost_components: AbstractSet[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n,) of the components as they are now, and the indices of the faces in those that changed.

    Components that lost nothing are known to be connected and are not looked into; no two of the old ones can
    touch, except by a new face. So only new faces are compared with all, and the members of a reduced
    component with each other.
    """
    index = np.arange(len(units))
    new = components < 0
    lost = np.isin(components, list(lost_components)) & ~new
    _, first, inverse = np.unique(components, return_index=True, return_inverse=True)
    labels = np.where(new | lost, index, first[inverse])
    labels = join(labels, units, cut, rows=index[new])
    labels = join(labels, units, cut, rows=index[new], columns=index[~new])
    for component in np.unique(components[lost]):
        labels = join(labels, units, cut, rows=index[components == component])
    return labels, np.flatnonzero(np.isin(labels, labels[new | lost]))


def _component_ids(rows: np.ndarray, components: np.ndarray) -> np.ndarray:
    """Ids (m,) int64 >= 0 of the components (m,) of units in content order."""
    _, first, inverse = np.unique(components, return_index=True, return_inverse=True)
    digests = (blake2b(rows[unit].tobytes(), digest_size=8).digest() for unit in first)
    ids = np.array([int.from_bytes(digest, "little") >> 1 for digest in digests], np.int64)
    return ids[inverse]


def _without_lone(clusters: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Clusters (m,) numbered anew from 0, -1 for those of one face; counts: (m,) faces per unit."""
    kept = np.bincount(clusters, weights=counts) > 1
    return np.where(kept, np.cumsum(kept) - 1, -1)[clusters]
