"""People: who is on the photos."""

from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.api.access import Doing, Seeing
from accounts.api.problems import problems
from accounts.roles import Permission
from gallery.api.filters import PersonFilter
from gallery.api.person_rights import ANSWERING, PersonRightsMixin
from gallery.api.photos import listed
from gallery.api.serializers.people import PersonSerializer, RenameSerializer
from gallery.api.serializers.photos import PhotoSerializer
from photos.models import Face, Person, Photo
from photos.services import people

TAGS = ["people"]


@extend_schema_view(
    list=extend_schema(
        summary="List people, newest first",
        tags=TAGS,
        responses={200: PersonSerializer(many=True), **problems(400)},
    ),
    retrieve=extend_schema(
        summary="Read about a person",
        tags=TAGS,
        responses={200: PersonSerializer, **problems(404)},
    ),
)
class PersonViewSet(PersonRightsMixin, ListModelMixin, RetrieveModelMixin, GenericViewSet):
    """People that the caller may see."""

    access = {
        "list": Seeing(Permission.VIEW_PEOPLE),
        "retrieve": Seeing(Permission.VIEW_PEOPLE),
        "partial_update": Doing(Permission.EDIT_PEOPLE, seeing=Permission.VIEW_PEOPLE),
        "photos": Seeing(Permission.VIEW_PEOPLE),
        "export": ANSWERING,
        "forget": ANSWERING,
    }
    serializer_class = PersonSerializer
    filterset_class = PersonFilter
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Person]:
        """Give what the caller may see."""
        return Person.objects.visible_to(self.request.user).with_faces()

    @extend_schema(
        summary="Name a person",
        tags=TAGS,
        request=RenameSerializer,
        responses={200: PersonSerializer, **problems(400, 403, 404, 409)},
    )
    def partial_update(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Name a person, or take the name away with an empty one."""
        person = self.get_object()
        given = RenameSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        people.rename_person(person=person, name=given.validated_data.get("name", person.name), by=request.user)
        return Response(self.get_serializer(person).data)

    @extend_schema(
        summary="List the photos that show a person, newest upload first",
        tags=TAGS,
        # with the media type, like the problems: the generator looks for the list in the least key
        responses={(200, "application/json"): PhotoSerializer(many=True), **problems(400, 404)},
    )
    @action(detail=True, filterset_class=None, serializer_class=PhotoSerializer)
    def photos(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Give a page of photos."""
        person = self.get_object()
        faces = Face.objects.kept().filter(photo=OuterRef("pk"), person=person)
        shown = listed(Photo.objects.visible_to(request.user)).filter(Exists(faces))
        page = self.paginate_queryset(shown)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)
