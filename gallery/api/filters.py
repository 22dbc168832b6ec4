"""What lists are narrowed by. A value that cannot be is an error that names the parameter."""

from typing import ClassVar
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework.request import Request

from accounts.api.filters import MomentFilter
from photos.models import DecisionKind, Face, Person, PersonDecision, Photo
from processing.states import PhotoState, in_state


@extend_schema_field(OpenApiTypes.BOOL)
class StrictBooleanFilter(filters.TypedChoiceFilter):
    """`true` or `false`. The filter of the library takes anything else for "not given"."""

    def __init__(self, **kwargs: object) -> None:
        choices = (("true", "true"), ("false", "false"))
        super().__init__(choices=choices, coerce=lambda value: value == "true", **kwargs)


def wants_trash(request: Request) -> bool:
    """Whether a list of photos is to show what lies in the trash; a value that cannot be is the filter's to refuse."""
    return request.query_params.get("trashed") == "true"


class PhotoFilter(filters.FilterSet):
    """Narrows photos. Faces and people count only where the caller may see them."""

    library = filters.UUIDFilter(field_name="library_id", help_text="Of this library.")
    state = filters.ChoiceFilter(choices=PhotoState.choices, method="filter_state", help_text="In this state.")
    taken_after = MomentFilter(
        field_name="metadata__taken_at", lookup_expr="gte", help_text="Taken at this time or later (ISO 8601)."
    )
    taken_before = MomentFilter(
        field_name="metadata__taken_at", lookup_expr="lt", help_text="Taken before this time (ISO 8601)."
    )
    camera_make = filters.CharFilter(field_name="metadata__camera_make", help_text="Exactly, as the camera writes it.")
    camera_model = filters.CharFilter(
        field_name="metadata__camera_model", help_text="Exactly, as the camera writes it."
    )
    has_faces = StrictBooleanFilter(method="filter_has_faces", help_text="With or without a face.")
    person = filters.UUIDFilter(method="filter_person", help_text="Showing this person.")
    trashed = StrictBooleanFilter(
        method="filter_trashed",
        help_text="What lies in the trash, of the libraries in which you hold `photos.trash`; else what does not.",
    )

    class Meta:
        model = Photo
        fields: ClassVar[list[str]] = []

    def filter_state(self, photos: QuerySet[Photo], _name: str, value: str) -> QuerySet[Photo]:
        """Keep the photos in a state."""
        return in_state(photos, value)

    def filter_has_faces(self, photos: QuerySet[Photo], _name: str, value: bool) -> QuerySet[Photo]:
        """Keep the photos with a face, or those without."""
        user = self.request.user
        faces = Face.objects.in_trash_of(user) if wants_trash(self.request) else Face.objects.visible_to(user)
        faces = faces.kept().filter(photo=OuterRef("pk"))
        return photos.filter(Exists(faces) if value else ~Exists(faces))

    def filter_person(self, photos: QuerySet[Photo], _name: str, value: UUID) -> QuerySet[Photo]:
        """Keep the photos that show somebody."""
        # asked for first: within the other query it would keep the planner from starting at the person's few faces
        if not Person.objects.visible_to(self.request.user).filter(pk=value).exists():
            return photos.none()
        return photos.filter(Exists(Face.objects.kept().filter(photo=OuterRef("pk"), person=value)))

    def filter_trashed(self, photos: QuerySet[Photo], _name: str, _value: bool) -> QuerySet[Photo]:
        """Keep all: the view has begun with one side of the trash's lid, since who sees what differs."""
        return photos


class PersonFilter(filters.FilterSet):
    """Narrows people."""

    library = filters.UUIDFilter(field_name="library_id", help_text="Of this library.")
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
