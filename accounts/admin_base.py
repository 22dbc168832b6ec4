"""What the admin's pages of accounts share with those of photos and runs."""

from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import SEARCH_VAR
from django.core.exceptions import BadRequest, ValidationError
from django.db.models import Model, QuerySet
from django.forms import BaseModelFormSet, ModelForm
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from unfold.admin import ModelAdmin

from accounts.models import AuditEvent
from accounts.problems import DomainError

NUL = "\x00"
_TRAIL = "admin:accounts_auditevent_changelist"
# what the theme's filters ask of a field that they are named for
_FILTERED_BY = frozenset({"", "_from", "_to", "__exact", "__id__exact", "__in", "__isnull", "__gte", "__lte", "__lt"})


class CarefulAdmin(ModelAdmin):
    """Says what the domain does not allow, in place of a traceback; nothing was written then.

    A search for what no text in the database can have finds nothing. What is noted of a change names the rows of an
    inline by their ids alone: a note outlives the people whom they are about.
    """

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow what the filters of the list ask: any other column would be told letter by letter, a hash as well."""
        for one in self.get_list_filter(request):
            if isinstance(one, str | tuple):
                field = one if isinstance(one, str) else one[0]
                if lookup.startswith(field) and lookup.removeprefix(field) in _FILTERED_BY:
                    return True
            elif lookup == one.parameter_name:
                return True
        return False

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponseBase:
        """Show or save a form."""
        shown = {"show_history": self._has_history(request), **(extra_context or {})}
        try:
            return super().changeform_view(request, object_id, form_url, shown)
        except DomainError as error:
            return _said(request, error.detail)
        except ValidationError as error:
            # right when the form looked at it, and not any more when it was written
            return _said(request, " ".join(error.messages))

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        """Go on to what the audit trail tells of the row: most changes come by no form of the admin's."""
        row = self.get_object(request, unquote(object_id))
        if row is None or not self._has_history(request) or not self.has_view_or_change_permission(request, row):
            return super().history_view(request, object_id, extra_context)
        return redirect(f"{reverse(_TRAIL)}?{urlencode({SEARCH_VAR: row.pk})}")

    def _has_history(self, request: HttpRequest) -> bool:
        """Tell whether the user may read the trail; of its own events it tells nothing."""
        return self.model is not AuditEvent and request.user.has_perm("accounts.view_auditevent")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        """Show the list; a filter with a value that no row can have (NUL, the year 99999) shows it unfiltered."""
        try:
            return super().changelist_view(request, extra_context)
        except ValidationError as error:
            # a forged form: the list offers no such rows
            raise BadRequest("The form chooses rows by what is no id.") from error
        except (ValueError, OverflowError):
            if not request.GET:
                raise
            return redirect(request.path)

    def existing(self, request: HttpRequest, object_id: str) -> Any:
        """Give the row that an action is about; Http404 if there is none that the user may see."""
        found = self.get_object(request, object_id)
        if found is None:
            raise Http404(f"There is no {self.opts.verbose_name} {object_id!r}.")
        return found

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Ask whether to delete, or delete."""
        try:
            return super().delete_view(request, *args, **kwargs)
        except DomainError as error:
            return _said(request, error.detail)

    def response_action(self, request: HttpRequest, queryset: QuerySet) -> HttpResponseBase | None:
        """Do to many rows what was chosen."""
        try:
            return super().response_action(request, queryset)
        except DomainError as error:
            return _said(request, error.detail)

    def construct_change_message(
        self, request: HttpRequest, form: ModelForm, formsets: Iterable[BaseModelFormSet] | None, add: bool = False
    ) -> list[dict[str, Any]]:
        """Say what was changed, for the history of the row."""
        noted = super().construct_change_message(request, form, formsets, add)
        rows = (row for formset in formsets or () for row in _touched(formset))
        # those of the row itself are named by no object
        of_inlines = [what for one in noted for what in one.values() if "object" in what]
        for what, row in zip(of_inlines, rows, strict=True):
            what["object"] = str(row.pk)
        return noted

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        """Find rows by the words typed: in the list, and where a form offers them."""
        if NUL in search_term:
            return queryset.none(), False
        ordered = queryset if queryset.ordered else queryset.order_by(*self.get_ordering(request))
        return super().get_search_results(request, ordered, search_term)


def _touched(formset: BaseModelFormSet) -> list[Model]:
    """Give the rows that an inline has added, changed and deleted, in the order in which they are noted."""
    return [*formset.new_objects, *(row for row, _ in formset.changed_objects), *formset.deleted_objects]


def _said(request: HttpRequest, detail: str) -> HttpResponseBase:
    messages.error(request, detail)
    return redirect(request.get_full_path())
