"""What lists are narrowed by. A value that cannot be is an error that names the parameter."""

from typing import ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters

from gallery.api.filter_fields import StrictBooleanFilter
from photos.models import DecisionKind, Face, Person, PersonDecision, Tag
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
    hidden = StrictBooleanFilter(
        method="filter_hidden", help_text="Those who were hidden; without it, those who were not."
    )

    class Meta:
        model = Person
        fields: ClassVar[list[str]] = []

    def filter_hidden(self, people: QuerySet[Person], _name: str, value: bool) -> QuerySet[Person]:
        """Keep the hidden, or the others."""
        return people.filter(is_hidden=value)

    def filter_is_named(self, people: QuerySet[Person], _name: str, value: bool) -> QuerySet[Person]:
        """Keep the people with a name, or those without."""
        return people.exclude(name="") if value else people.filter(name="")


class FaceFilter(filters.FilterSet):
    """Narrows faces."""

    library = filters.UUIDFilter(field_name="photo__library_id", help_text="Of this library.")
    photo = filters.UUIDFilter(field_name="photo_id", help_text="On this photo.")
    person = filters.UUIDFilter(field_name="person_id", help_text="Of this person.")
    decided = StrictBooleanFilter(
        field_name="person_decided", help_text="Of which somebody said who it is, one by one, or not."
    )

    class Meta:
        model = Face
        fields: ClassVar[list[str]] = []


class DecisionFilter(filters.FilterSet):
    """Narrows decisions about people."""

    library = filters.UUIDFilter(field_name="library_id", help_text="Of this library.")
    kind = filters.ChoiceFilter(choices=DecisionKind.choices, help_text="Of this kind.")
    undone = StrictBooleanFilter(method="filter_undone", help_text="What was undone, or what holds.")

    class Meta:
        model = PersonDecision
        fields: ClassVar[list[str]] = []

    def filter_undone(self, decisions: QuerySet[PersonDecision], _name: str, value: bool) -> QuerySet[PersonDecision]:
        """Keep what was undone, or what holds."""
        return decisions.filter(undone_at__isnull=not value)
