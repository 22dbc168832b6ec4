"""Libraries that the caller may look into."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin

from accounts.api.access import Seeing
from accounts.api.problems import problems
from accounts.api.serializers import LibrarySerializer
from accounts.api.views import GenericViewSet
from accounts.models import Library
from accounts.roles import Permission

TAGS = ["libraries"]


@extend_schema_view(
    list=extend_schema(
        summary="List the libraries that you may see",
        tags=TAGS,
        responses={200: LibrarySerializer(many=True), **problems(400)},
    ),
    retrieve=extend_schema(
        summary="Read a library, and what you may do in it",
        tags=TAGS,
        responses={200: LibrarySerializer, **problems(404)},
    ),
)
class LibraryViewSet(ListModelMixin, RetrieveModelMixin, GenericViewSet):
    """Libraries that the caller may look into, newest first."""

    access = {"list": Seeing(Permission.VIEW_PHOTOS), "retrieve": Seeing(Permission.VIEW_PHOTOS)}
    serializer_class = LibrarySerializer
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Library]:
        """Give what the caller may see, with the role held there."""
        return Library.objects.visible_to(self.request.user).with_own_role(self.request.user).select_related("usage")
