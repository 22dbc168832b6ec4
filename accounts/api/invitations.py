"""Inviting people into a library, and accepting."""

from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from accounts.api.access import PUBLIC, Doing, Seeing
from accounts.api.problems import problems
from accounts.api.serializers import (
    AcceptedInvitationSerializer,
    AcceptInvitationSerializer,
    InvitationSerializer,
    InviteSerializer,
    SentInvitationSerializer,
)
from accounts.api.throttles import LoginThrottle
from accounts.api.views import GenericAPIView, GenericViewSet
from accounts.models import Invitation, Library
from accounts.roles import Permission
from accounts.services import invitations

TAGS = ["members"]


@extend_schema_view(
    list=extend_schema(
        summary="List the invitations into a library that were not answered",
        description="Newest first, those that have run out too.",
        tags=TAGS,
        responses={200: InvitationSerializer(many=True), **problems(400, 403, 404)},
    ),
)
class LibraryInvitationViewSet(ListModelMixin, GenericViewSet):
    """Invitations into one library, for those who manage its members."""

    access = {"list": Doing(Permission.MANAGE_MEMBERS), "create": Doing(Permission.MANAGE_MEMBERS)}
    # the mail follows the commit
    apart = frozenset({"create"})
    serializer_class = InvitationSerializer
    queryset = Invitation.objects.none()

    def get_queryset(self) -> QuerySet[Invitation]:
        """Give what was not answered yet; raises NotPermittedError for a library whose members others manage."""
        rows = Invitation.objects.manageable_by(self.request.user).unanswered().filter(library=self._library())
        return rows.select_related("role", "invited_by")

    @extend_schema(
        summary="Invite somebody into a library",
        description="Sends a mail with a token that works once. An earlier invitation of this address that was not "
        "answered is replaced. Nobody gives a role that may do more than they may themselves. Who is a member is a "
        "409, `already_member`. `mail_sent` says whether the mail server has taken the mail; if not, invite once more.",
        tags=TAGS,
        request=InviteSerializer,
        responses={201: SentInvitationSerializer, **problems(400, 403, 404, 409)},
    )
    def create(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Give the invitation, without its token: that is in the mail alone."""
        library = self._library()
        given = InviteSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        sent = invitations.invite(actor=request.user, library=library, **given.validated_data)
        location = reverse("invitation-detail", [sent.invitation.pk], request=request)
        return Response(SentInvitationSerializer(sent).data, status=201, headers={"Location": location})

    def _library(self) -> Library:
        library = get_object_or_404(Library.objects.visible_to(self.request.user), pk=self.kwargs["pk"])
        self.check_object_permissions(self.request, library)
        return library


@extend_schema_view(
    retrieve=extend_schema(
        summary="Read an invitation",
        description="One that was accepted or taken back is 404.",
        tags=TAGS,
        responses={200: InvitationSerializer, **problems(404)},
    ),
)
class InvitationViewSet(RetrieveModelMixin, GenericViewSet):
    """Invitations into the libraries whose members the caller manages."""

    access = {"retrieve": Seeing(Permission.MANAGE_MEMBERS), "destroy": Seeing(Permission.MANAGE_MEMBERS)}
    serializer_class = InvitationSerializer
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Invitation]:
        """Give what the caller may see; to read, what was not answered yet."""
        rows = Invitation.objects.manageable_by(self.request.user).select_related("role", "invited_by")
        return rows.unanswered() if self.action == "retrieve" else rows

    @extend_schema(
        summary="Take an invitation back",
        description="May be repeated. One that was accepted is a 409.",
        tags=TAGS,
        responses={204: OpenApiResponse(description="It is worth nothing any more."), **problems(404, 409)},
    )
    def destroy(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Revoke it."""
        invitations.revoke(actor=request.user, invitation=self.get_object())
        return Response(status=204)


class AcceptInvitationView(GenericAPIView):
    """Join a library."""

    # those who have no account yet, and those who are logged in
    access = {"post": PUBLIC}
    throttle_classes = (LoginThrottle,)
    throttle_scope = "token"
    serializer_class = AcceptInvitationSerializer

    @extend_schema(
        operation_id="auth_invitations_accept",
        summary="Accept an invitation",
        description="Makes an account of the invited address, with `name` and `password`; log in with it then. Whoever "
        "has that account already (409, `account_exists`) logs in and sends the token alone; one that was deactivated "
        "(409, `user_inactive`) stays closed. A token that is wrong, was used, revoked or replaced, or has run out is "
        "a 400, `invitation_not_valid`.",
        tags=["auth"],
        responses={200: AcceptedInvitationSerializer, **problems(400, 403, 409, 429)},
    )
    def post(self, request: Request) -> Response:
        """Give the library that was joined, and the role."""
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        membership = invitations.accept(user=request.user, **given.validated_data)
        return Response(AcceptedInvitationSerializer(membership).data)
