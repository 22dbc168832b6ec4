"""What people have decided of the faces that are clustered: who is who, and who is not."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np

UNKNOWN, NOBODY = -1, -2


@dataclass(frozen=True)
class Decisions:
    """What people have decided of n faces, who are their indices. Persons are numbers from 0.

    pinned: the person that a face is, or `NOBODY`; barred: the persons that a face is not. No face is barred from the
    person to whom it is pinned. Where nothing else decides, the person of the lower number wins.
    """

    pinned: Mapping[int, int] = field(default_factory=dict)
    barred: Mapping[int, frozenset[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Limits:
    """Which of m units may not come together: those of two persons, and one with a person that it is not.

    who: (m,) int64, `UNKNOWN` where nobody said; barred: by unit.
    """

    who: np.ndarray
    barred: Mapping[int, frozenset[int]]

    def __getitem__(self, index: np.ndarray) -> Self:
        barred = {}
        if self.barred:
            barred = {place: self.barred[unit] for place, unit in enumerate(index.tolist()) if unit in self.barred}
        return type(self)(self.who[index], barred)

    def __bool__(self) -> bool:
        """Whether any two of the units may not come together: all that are pinned may be of one person."""
        known = self.who[self.who >= 0]
        return bool(len(known)) and (bool(self.barred) or bool((known != known[0]).any()))

    def merged(self, labels: np.ndarray) -> Self:
        """Limits of the units of each label as one unit; `labels` (m,) are 0 to k-1, and join nobody who may not be."""
        order = np.argsort(labels, kind="stable")
        starts = np.searchsorted(labels[order], np.arange(labels.max() + 1))
        barred: dict[int, frozenset[int]] = defaultdict(frozenset)
        for unit, persons in self.barred.items():
            barred[int(labels[unit])] |= persons
        return type(self)(np.maximum.reduceat(self.who[order], starts), dict(barred))

    def apart(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Tell which pairs of units `left[i], right[i]` may not come together: bool, of the shape they broadcast to."""
        one, other = self.who[left], self.who[right]
        found = (one != other) & (one >= 0) & (other >= 0)
        if self.barred:
            # a unit and a person that it is not, as one number
            people = 1 + max(int(self.who.max()), *(max(persons) for persons in self.barred.values()))
            codes = [unit * people + person for unit, persons in self.barred.items() for person in persons]
            found |= np.isin(left * people + other, codes) & (other >= 0)
            found |= np.isin(right * people + one, codes) & (one >= 0)
        return found
