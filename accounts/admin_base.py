"""What the admin's pages of accounts share with those of photos and runs."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import BadRequest, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from unfold.admin import ModelAdmin

from accounts.problems import DomainError

NUL = "\x00"


class CarefulAdmin(ModelAdmin):
    """Says what the domain does not allow, in place of a traceback; nothing was written then.

    A search for what no text in the database can have finds nothing.
    """

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Show or save a form."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except DomainError as error:
            return _said(request, error, request.get_full_path())

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
            return _said(request, error, request.get_full_path())

    def response_action(self, request: HttpRequest, queryset: QuerySet) -> HttpResponseBase | None:
        """Do to many rows what was chosen."""
        try:
            return super().response_action(request, queryset)
        except DomainError as error:
            return _said(request, error, request.get_full_path())

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        """Find rows by the words typed: in the list, and where a form offers them."""
        if NUL in search_term:
            return queryset.none(), False
        ordered = queryset if queryset.ordered else queryset.order_by(*self.get_ordering(request))
        return super().get_search_results(request, ordered, search_term)


def _said(request: HttpRequest, error: DomainError, address: str) -> HttpResponseBase:
    messages.error(request, error.detail)
    return redirect(address)
