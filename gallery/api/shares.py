"""Shares: links that show photos to people without an account."""

from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from accounts.api.access import Doing, Seeing
from accounts.api.problems import problems
from accounts.api.promises.conditions import ConditionalMixin
from accounts.api.views import GenericViewSet
from accounts.roles import Permission
from gallery.api.serializers.shares import (
    NewShareSerializer,
    ShareChangeSerializer,
    ShareCreationSerializer,
    ShareSerializer,
)
from gallery.models import Share
from gallery.services import shares

TAGS = ["shares"]


@extend_schema_view(
    list=extend_schema(
        summary="List shares, newest first",
        description="Those of the libraries in which you may share photos, whoever made them.",
        tags=TAGS,
        responses={200: ShareSerializer(many=True), **problems(400)},
    ),
    retrieve=extend_schema(
        summary="Read a share",
        tags=TAGS,
        responses={200: ShareSerializer, **problems(404)},
    ),
)
class ShareViewSet(ConditionalMixin, ListModelMixin, RetrieveModelMixin, GenericViewSet):
    """Shares of the libraries in which the caller may share photos."""

    access = {
        "list": Seeing(Permission.SHARE_PHOTOS),
        "retrieve": Seeing(Permission.SHARE_PHOTOS),
        # the service asks for each photo that is named
        "create": Doing(Permission.SHARE_PHOTOS),
        "partial_update": Seeing(Permission.SHARE_PHOTOS),
        "destroy": Seeing(Permission.SHARE_PHOTOS),
    }
    # the link
    tells_once = frozenset({"create"})
    serializer_class = ShareSerializer
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Share]:
        """Give what the caller may see."""
        return Share.objects.visible_to(self.request.user).with_photo_count()

    @extend_schema(
        summary="Share photos by a link",
        description="One photo or a set, of one library. The link shows renditions, without names, times and places, "
        "until it expires or is revoked, or until you may no longer share these photos. It is told in this answer and "
        "never again. It takes the permission `photos.share`.",
        tags=TAGS,
        request=ShareCreationSerializer,
        responses={201: NewShareSerializer, **problems(400, 403, 404)},
    )
    def create(self, request: Request) -> Response:
        """Make a share and tell its link."""
        given = ShareCreationSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        options = dict(given.validated_data)
        made, token = shares.create_share(by=request.user, photo_ids=options.pop("photos"), options=options)
        share = self.get_queryset().get(pk=made.pk)
        share.link = reverse("shared", [token], request=request)
        location = reverse("share-detail", [share.pk], request=request)
        # the link opens the photos: nobody on the way may keep it
        headers = {"Location": location, "Cache-Control": "private, no-store"}
        return Response(NewShareSerializer(share).data, status=status.HTTP_201_CREATED, headers=headers)

    @extend_schema(
        summary="Change a share",
        description="Another password locks out those who came in with the one before. What was revoked stays so: 409, "
        "`share_is_revoked`.",
        tags=TAGS,
        request=ShareChangeSerializer,
        responses={200: ShareSerializer, **problems(400, 403, 404, 409)},
    )
    def partial_update(self, request: Request, pk: UUID) -> Response:
        """Change title, password, expiry, or what is shown."""
        given = ShareChangeSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        share = shares.change_share(share_id=pk, by=request.user, changes=given.validated_data)
        return Response(ShareSerializer(self.get_queryset().get(pk=share.pk)).data)

    @extend_schema(
        summary="Revoke a share",
        description="Its link opens nothing any more, at once and for good. One that was revoked before stays so.",
        tags=TAGS,
        responses={204: None, **problems(404)},
    )
    def destroy(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Revoke a share."""
        shares.revoke_shares(share_ids=[self.get_object().pk], by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)
