"""Nearest vectors within a filter: exactly where few rows pass it, by the model's HNSW index where many do.

An index gives the nearest of all vectors, and a filter takes from these: a small library in a large installation would
get an empty list. So rows are counted first, up to EXACT_ROWS; and where an index ran out of rows before the list was
full, what passes the filter is measured row by row after all.
"""

from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction
from django.db.models import FloatField, Func, QuerySet
from django.db.models.functions import Cast
from pgvector.django import HalfVectorField

# measured in one go: some 20 ms at 512 dimensions, less than an index takes to pass by what a filter refuses
EXACT_ROWS = 20_000
# the index's width of search, which bounds recall. Of lists of 100 from 20,000 vectors of 512 dimensions 200 finds 99 %
# and 400 nearly all, in some 10 ms; it leaves room for graphs that grew from an odd beginning
EF_SEARCH = 400


class NotByIndex(Func):
    """A distance that no index serves: the planner measures every row that passes the filter."""

    template = "((%(expressions)s) + 0.0)"
    output_field = FloatField()


def nearest(
    rows: QuerySet, *, distance: type[Func], vector: Sequence[float], columns: Sequence[str], limit: int
) -> list[tuple[Any, ...]]:
    """Give `columns` and the distance of the rows that are nearest to a vector, nearest first; `limit` of them at most.

    `rows` are those of one model, named by a constant, which is what its index asks for; `distance` is the operator of
    that index. Rows are equally near in no particular order.
    """
    measured = distance(Cast("vector", HalfVectorField(dimensions=len(vector))), vector)
    with transaction.atomic():
        if rows.order_by().values("pk")[: EXACT_ROWS + 1].count() > EXACT_ROWS:
            found = _by_index(rows.annotate(distance=measured), columns, limit)
            if len(found) == limit:
                return found
        exact = rows.annotate(distance=NotByIndex(measured))
        # by distance alone, as below
        return list(exact.order_by("distance").values_list(*columns, "distance")[:limit])


def _by_index(rows: QuerySet, columns: Sequence[str], limit: int) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        # goes on until enough rows have passed the filter, and gives them nearly in order
        cursor.execute("SET LOCAL hnsw.iterative_scan = relaxed_order")
        cursor.execute(f"SET LOCAL hnsw.ef_search = {max(EF_SEARCH, limit):d}")
    # a second key in ORDER BY would keep the index out of it
    found = list(rows.order_by("distance").values_list(*columns, "distance")[:limit])
    return sorted(found, key=lambda row: row[-1])
