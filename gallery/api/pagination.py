"""Pages of lists."""

from typing import Any
from uuid import UUID

from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request


class NewestFirst(CursorPagination):
    """Pages by key, newest first: UUIDv7 keys are ordered by time, and a cursor costs no counting.

    A cursor or page size that cannot be is an error that names the parameter, not another page than was asked for.
    """

    ordering = "-id"
    page_size = 50
    max_page_size = 200
    page_size_query_param = "page_size"
    page_size_query_description = f"Results per page, 1 to {max_page_size}."
    cursor_query_description = "Where the page begins: taken from `next` or `previous` of another page."

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Describe cursor and page size."""
        found = super().get_schema_operation_parameters(view)
        for one in found:
            if one["name"] == self.page_size_query_param:
                one["schema"] |= {"minimum": 1, "maximum": self.max_page_size, "default": self.page_size}
        return found

    def get_page_size(self, request: Request) -> int:
        """Read the page size; raises ValidationError."""
        given = request.query_params.get(self.page_size_query_param)
        if given is None:
            return self.page_size
        # as short as the largest: zeros in front, and numbers without end, are none that anybody means
        is_number = given.isascii() and given.isdecimal() and len(given) <= len(str(self.max_page_size))
        if not is_number or not 1 <= int(given) <= self.max_page_size:
            raise ValidationError({self.page_size_query_param: f"A number from 1 to {self.max_page_size}."})
        return int(given)

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Read the cursor; raises ValidationError."""
        try:
            cursor = super().decode_cursor(request)
            if cursor is not None and cursor.position is not None:
                UUID(cursor.position)
        except (NotFound, ValueError) as error:
            raise ValidationError({self.cursor_query_param: "Not a cursor that a page has given."}) from error
        return cursor
