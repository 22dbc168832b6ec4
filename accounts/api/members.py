"""Members of a library: who they are, and what each may do there."""

from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from accounts.api.access import Doing
from accounts.api.member_serializers import ChangeMemberSerializer, MemberSerializer, NewMemberSerializer
from accounts.api.problems import problems
from accounts.api.promises.conditions import ConditionalMixin
from accounts.api.views import GenericViewSet
from accounts.models import Library, Membership
from accounts.roles import Permission
from accounts.services import members

TAGS = ["members"]
LIBRARY = OpenApiParameter("library_id", OpenApiTypes.UUID, OpenApiParameter.PATH, description="The library.")
MEMBER = OpenApiParameter("user_id", OpenApiTypes.UUID, OpenApiParameter.PATH, description="The member's account.")
MORE = (
    "Nobody gives, changes or takes away a role that allows more than they may do in the library themselves "
    "(`permission_denied`; `permission` names what is missing)."
)
LAST = "The last active admin of a library stays one (`last_admin`)."


@extend_schema_view(
    list=extend_schema(
        summary="List the members of a library, newest first",
        tags=TAGS,
        parameters=[LIBRARY],
        responses={200: MemberSerializer(many=True), **problems(403, 404)},
    ),
    retrieve=extend_schema(
        summary="Read a membership",
        tags=TAGS,
        parameters=[LIBRARY, MEMBER],
        responses={200: MemberSerializer, **problems(403, 404)},
    ),
)
class MemberViewSet(ConditionalMixin, ListModelMixin, RetrieveModelMixin, GenericViewSet):
    """Members of a library that the caller may see."""

    access = {
        "list": Doing(Permission.MANAGE_MEMBERS),
        "retrieve": Doing(Permission.MANAGE_MEMBERS),
        "create": Doing(Permission.MANAGE_MEMBERS),
        "partial_update": Doing(Permission.MANAGE_MEMBERS),
        "destroy": Doing(Permission.MANAGE_MEMBERS, own=True),
    }
    serializer_class = MemberSerializer
    queryset = Membership.objects.none()
    lookup_field = "user_id"
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Membership]:
        """Give the members of the library in the address, to who may manage them."""
        if getattr(self, "swagger_fake_view", False):
            return Membership.objects.none()
        library = self._library()
        self.check_object_permissions(self.request, library)
        return library.memberships.select_related("user", "role")

    @extend_schema(
        summary="Add a member",
        description="Somebody who has an account, by the address that it logs in with; a visitor, unless another role "
        f"is named. For an address that has none the answer is 400, `no_account`: invite it. {MORE}",
        tags=TAGS,
        parameters=[LIBRARY],
        request=NewMemberSerializer,
        responses={201: MemberSerializer, **problems(400, 403, 404, 409)},
    )
    def create(self, request: Request, library_id: UUID) -> Response:  # noqa: ARG002 - `_library` reads it
        """Make somebody a member."""
        library = self._library()
        self.check_object_permissions(request, library)
        given = NewMemberSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        added = members.add_by_email(library=library, by=request.user, **given.validated_data)
        location = reverse("member-detail", [library.pk, added.user_id], request=request)
        return Response(MemberSerializer(added).data, status=status.HTTP_201_CREATED, headers={"Location": location})

    @extend_schema(
        summary="Give a member another role",
        description=f"{MORE} {LAST}",
        tags=TAGS,
        parameters=[LIBRARY, MEMBER],
        request=ChangeMemberSerializer,
        responses={200: MemberSerializer, **problems(400, 403, 404, 409)},
    )
    def partial_update(self, request: Request, library_id: UUID, user_id: UUID) -> Response:  # noqa: ARG002 - as above
        """Change what a member may do."""
        library = self._library()
        self.check_object_permissions(request, library)
        given = ChangeMemberSerializer(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        if not given.validated_data:
            return Response(MemberSerializer(self.get_object()).data)
        changed = members.change_role(library=library, user_id=user_id, by=request.user, **given.validated_data)
        return Response(MemberSerializer(changed).data)

    @extend_schema(
        summary="Remove a member, or leave a library",
        description=f"Members may always leave by themselves, in person. {MORE} {LAST}",
        tags=TAGS,
        parameters=[LIBRARY, MEMBER],
        responses={204: None, **problems(403, 404, 409)},
    )
    def destroy(self, request: Request, library_id: UUID, user_id: UUID) -> Response:  # noqa: ARG002 - as above
        """End a membership."""
        library = self._library()
        membership = library.memberships.filter(user=user_id).first()
        # without the right to list the members nobody learns who is one
        self.check_object_permissions(request, membership or library)
        if membership is None:
            raise Http404
        members.remove(library=library, user_id=user_id, by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def lock_for_change(self) -> None:
        """Lock the library, as whoever changes its members does before anything else."""
        Library.objects.select_for_update(no_key=True).filter(pk=self._library().pk).first()

    def _library(self) -> Library:
        return get_object_or_404(Library.objects.visible_to(self.request.user), pk=self.kwargs["library_id"])
