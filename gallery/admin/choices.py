"""Choosing a row by a search, where only those of one library will do."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteMixin, AutocompleteSelect, AutocompleteSelectMultiple
from django.db.models import ForeignKey, QuerySet
from django.http import HttpRequest
from django.utils.http import urlencode

from accounts.ids import parse

# of the address that a search asks: no field of a model
OF_LIBRARY = "of_library"
_LOOKS = {"class": "unfold-admin-autocomplete admin-autocomplete", "data-theme": "admin-autocomplete"}


class _OfOneLibrary(AutocompleteMixin):
    """Asks for rows of one library alone. `field` leads to the model, and is what the search names it by."""

    def __init__(self, field: ForeignKey, *, library_id: UUID, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(field, admin.site, attrs={**_LOOKS, **(attrs or {})})
        self.library_id = library_id

    def get_url(self) -> str:
        """Give the address of the search."""
        return f"{super().get_url()}?{urlencode({OF_LIBRARY: self.library_id})}"

    def optgroups(self, name: str, value: list[Any], attr: dict[str, Any] | None = None) -> list[Any]:
        """Give the chosen rows; what is no id, in a form that is shown again with its mistakes, is none."""
        return super().optgroups(name, [one for one in value if not one or parse(one)], attr)


class OneOfLibrary(_OfOneLibrary, AutocompleteSelect):
    """A row of a library."""


class SomeOfLibrary(_OfOneLibrary, AutocompleteSelectMultiple):
    """Rows of a library."""


class OfferedByLibraryMixin:
    """For the admin of a model with a `library`: what is offered to such a choice is of that library."""

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        """Find rows by the words typed."""
        match = request.resolver_match
        if match is not None and match.url_name == "autocomplete" and OF_LIBRARY in request.GET:
            library_id = parse(request.GET[OF_LIBRARY])
            queryset = queryset.filter(library=library_id) if library_id else queryset.none()
        return super().get_search_results(request, queryset, search_term)
