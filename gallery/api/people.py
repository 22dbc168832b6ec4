"""People: who is on the photos."""

from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.access import Seeing
from accounts.api.problems import problems
from accounts.api.promises.conditions import ConditionalMixin
from accounts.api.views import GenericViewSet
from accounts.roles import Permission
from gallery.api.filters import PersonFilter
from gallery.api.person_acts import PersonActsMixin
from gallery.api.person_rights import ANSWERING, PersonRightsMixin
from gallery.api.photos import described, listed
from gallery.api.serializers.people import PersonSerializer
from gallery.api.serializers.photos import PhotoSerializer
from photos.models import Face, Person, Photo

TAGS = ["people"]


@extend_schema_view(
    list=extend_schema(
        summary="List people, newest first",
        description="Hidden people are left out, unless `hidden=true` asks for them.",
        tags=TAGS,
        responses={200: PersonSerializer(many=True), **problems(400)},
    ),
    retrieve=extend_schema(
        summary="Read about a person",
        description="Who was merged into another person is 404 `merged`, with the key of that one in `merged_into`.",
        tags=TAGS,
        responses={200: PersonSerializer, **problems(404)},
    ),
)
class PersonViewSet(
    PersonActsMixin, PersonRightsMixin, ConditionalMixin, ListModelMixin, RetrieveModelMixin, GenericViewSet
):
    """People that the caller may see."""

    access = {
        "list": Seeing(Permission.VIEW_PEOPLE),
        "retrieve": Seeing(Permission.VIEW_PEOPLE),
        "photos": Seeing(Permission.VIEW_PEOPLE),
        **PersonActsMixin.access,
        "export": ANSWERING,
        "forget": ANSWERING,
    }
    told_of_changes = frozenset({"decisions"})
    serializer_class = PersonSerializer
    filterset_class = PersonFilter
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Person]:
        """Give what the caller may see; a list leaves the hidden out unless they are asked for."""
        visible = Person.objects.visible_to(self.request.user)
        if self.computes("face_count", "photo_count", "cover"):
            visible = visible.with_faces(self.request.user)
        is_asked_for = self.action != "list" or "hidden" in self.request.query_params
        return visible if is_asked_for else visible.filter(is_hidden=False)

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
        visible = Photo.objects.visible_to(request.user).filter(Exists(faces))
        add = listed if self.computes("renditions") else described
        shown = add(visible, user=request.user)
        page = self.paginate_queryset(shown)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)
