"""What the admin's pages share: lists that stay usable at millions of rows, labels, and answers to dialogs."""

import json
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin import ShowFacets
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.functional import cached_property
from django.utils.translation import ngettext
from unfold.views import ChangeList

from accounts.admin_base import CarefulAdmin
from processing.models import RunState
from processing.states import PhotoState

# more rows than this are not counted one by one
EXACT_COUNT_LIMIT = 10_000

RUN_STATE_LABELS = {
    RunState.WAITING: "default",
    RunState.PENDING: "info",
    RunState.RUNNING: "primary",
    RunState.DONE: "success",
    RunState.SKIPPED: "default",
    RunState.DEAD: "danger",
}
PHOTO_STATE_LABELS = {
    PhotoState.PENDING: "info",
    PhotoState.PROCESSING: "primary",
    PhotoState.READY: "success",
    PhotoState.ATTENTION: "danger",
}


class EstimatedPaginator(Paginator):
    """Counts exactly as far as that is cheap, and takes the planner's estimate for longer lists."""

    @cached_property
    def count(self) -> int:
        """Rows of the list: exact up to `EXACT_COUNT_LIMIT`, an estimate above it."""
        rows = self.object_list.order_by().values("pk")  # and none of the annotations
        counted = rows[: EXACT_COUNT_LIMIT + 1].count()
        if counted <= EXACT_COUNT_LIMIT:
            return counted
        plan = json.loads(rows.explain(format="json"))
        return max(counted, int(plan[0]["Plan"]["Plan Rows"]))


class LargeChangeList(ChangeList):
    """A page of a long list; the number of all rows is the number of those found while nothing is filtered."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page."""
        super().get_results(request)
        if not self.query and not self.has_active_filters:
            self.full_result_count = self.result_count


class LargeListAdmin(CarefulAdmin):
    """A list that is paged by key, newest first, and never counted in full."""

    paginator = EstimatedPaginator
    show_full_result_count = False
    list_per_page = 50
    # a count beside each choice of each filter would be a scan each
    show_facets = ShowFacets.NEVER
    # "show all" is no offer at a million rows
    list_max_show_all = 0
    ordering: ClassVar[tuple[str, ...]] = ("-id",)
    # sorting by a column without an index would sort the whole table
    sortable_by: ClassVar[tuple[str, ...]] = ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Page through the list without counting it in full."""
        return LargeChangeList


class ReadOnlyAdmin(LargeListAdmin):
    """Rows that only the pipeline writes: they are looked at, and acted on through services."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody adds these by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody edits these by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody deletes these by hand."""
        return False


def say(
    request: HttpRequest, count: int, one: str, many: str, *, none: Any = "", level: int = messages.SUCCESS
) -> None:
    """Tell the user how many it is, in the singular or the plural; of none what is given, or nothing."""
    if count:
        messages.add_message(request, level, ngettext(one, many, count) % count)
    elif none:
        messages.warning(request, none)


def page(request: HttpRequest, template: str, *, title: Any, **context: Any) -> TemplateResponse:
    """Answer with a page that is not about a model, within the admin's frame."""
    request.current_app = admin.site.name
    return TemplateResponse(request, template, {**admin.site.each_context(request), "title": title, **context})


def require(request: HttpRequest, permission: str) -> None:
    """Raise PermissionDenied unless the user holds a permission of the admin, named as in `photos.view_photo`."""
    if not request.user.has_perm(permission):
        raise PermissionDenied(permission)
