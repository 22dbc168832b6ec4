"""What the admin's pages of accounts share with those of photos and runs."""

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from unfold.admin import ModelAdmin

from accounts.problems import DomainError

NUL = "\x00"
# what the theme's filters ask of a field that they are named for
_FILTERED_BY = frozenset({"", "_from", "_to", "__exact", "__id__exact", "__in", "__isnull", "__gte", "__lte", "__lt"})


class CarefulAdmin(ModelAdmin):
    """Says what the domain does not allow, in place of a traceback; nothing was written then.

    A search for what no text in the database can have finds nothing.
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

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Show or save a form."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except DomainError as error:
            return _said(request, error)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Ask whether to delete, or delete."""
        try:
            return super().delete_view(request, *args, **kwargs)
        except DomainError as error:
            return _said(request, error)

    def response_action(self, request: HttpRequest, queryset: QuerySet) -> HttpResponseBase | None:
        """Do to many rows what was chosen."""
        try:
            return super().response_action(request, queryset)
        except DomainError as error:
            return _said(request, error)

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        """Find rows by the words typed: in the list, and where a form offers them."""
        if NUL in search_term:
            return queryset.none(), False
        ordered = queryset if queryset.ordered else queryset.order_by(*self.get_ordering(request))
        return super().get_search_results(request, ordered, search_term)


def _said(request: HttpRequest, error: DomainError) -> HttpResponseBase:
    messages.error(request, error.detail)
    return redirect(request.get_full_path())
