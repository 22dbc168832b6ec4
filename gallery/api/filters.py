"""What lists are narrowed by. A value that cannot be is an error that names the parameter."""

from typing import ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters

from gallery.api.filter_fields import StrictBooleanFilter
from photos.models import Person, Tag
from photos.services.tags import key_of


class LibraryFilter(filters.FilterSet):
    """Narrows what a library has."""

    library = filters.UUIDFilter(field_name="library_id", help_text="Of this library.")


class TagFilter(LibraryFilter):
    """Narrows tags."""

    name = filters.CharFilter(
        method="filter_name", max_length=255, help_text="Whose names begin so; neither case nor accents matter."
    )

    class Meta:
        model = Tag
        fields: ClassVar[list[str]] = []

    def filter_name(self, tags: QuerySet[Tag], _name: str, value: str) -> QuerySet[Tag]:
        """Keep the tags that begin so."""
        return tags.filter(key__startswith=key_of(value))


class PersonFilter(LibraryFilter):
    """Narrows people."""

    is_named = StrictBooleanFilter(method="filter_is_named", help_text="With or without a name.")

    class Meta:
        model = Person
        fields: ClassVar[list[str]] = []

    def filter_is_named(self, people: QuerySet[Person], _name: str, value: bool) -> QuerySet[Person]:
        """Keep the people with a name, or those without."""
        return people.exclude(name="") if value else people.filter(name="")
