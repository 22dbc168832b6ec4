"""Roles: what each allows."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.mixins import ListModelMixin

from accounts.api.access import LOGGED_IN
from accounts.api.member_serializers import RoleSerializer
from accounts.api.problems import problems
from accounts.api.views import GenericViewSet
from accounts.models import Role


@extend_schema_view(
    list=extend_schema(
        summary="List the roles, and what each allows",
        description="The built-in ones, which are the same everywhere, and those of this installation, newest first.",
        tags=["members"],
        responses={200: RoleSerializer(many=True), **problems(400)},
    ),
)
class RoleViewSet(ListModelMixin, GenericViewSet):
    """Roles that a member of a library may have."""

    access = {"list": LOGGED_IN}
    serializer_class = RoleSerializer

    def get_queryset(self) -> QuerySet[Role]:
        """Give all roles: they tell nothing of anybody."""
        return Role.objects.all()
