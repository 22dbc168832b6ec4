"""Both ledgers as one list."""

import heapq
from collections.abc import Iterator
from itertools import islice
from operator import attrgetter
from typing import Self

from django.db.models import QuerySet

from processing.models import LibraryRun, StageRun


class RunsOfBothLedgers:
    """Runs of photos and of libraries in the order of their keys, which are unique over both ledgers.

    Does what a page by cursor asks of a queryset and no more. A slice takes as many rows of each ledger as it may need.
    """

    def __init__(self, *parts: QuerySet, descending: bool = True) -> None:
        self._parts = parts
        self._descending = descending

    def order_by(self, key: str) -> Self:
        """Order by the key, the only order that there is: `id` or `-id`."""
        return type(self)(*(part.order_by(key) for part in self._parts), descending=key.startswith("-"))

    def filter(self, **conditions: object) -> Self:
        """Keep the runs that meet the conditions, in the columns that both ledgers have."""
        return type(self)(*(part.filter(**conditions) for part in self._parts), descending=self._descending)

    def __getitem__(self, wanted: slice) -> Iterator[StageRun | LibraryRun]:
        rows = [part[: wanted.stop] for part in self._parts]
        merged = heapq.merge(*rows, key=attrgetter("pk"), reverse=self._descending)
        return islice(merged, wanted.start, wanted.stop)
