"""Counts beside the rows of a list, each as far as that is cheap."""

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Func, IntegerField, QuerySet

# more are not counted one by one, for each row of a page
COUNTED_AT_MOST = 1000


class BoundedCount(Func):
    """Counts the rows of a subquery, which may refer to the outer row, and stops after one more than are shown."""

    function = "cardinality"

    def __init__(self, rows: QuerySet) -> None:
        counted = rows.order_by().values("pk")[: COUNTED_AT_MOST + 1]
        super().__init__(ArraySubquery(counted), output_field=IntegerField())


def in_words(count: int) -> str:
    """Say a bounded count."""
    return f"{COUNTED_AT_MOST:,}+" if count > COUNTED_AT_MOST else f"{count:,}"
