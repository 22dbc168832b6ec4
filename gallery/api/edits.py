"""Edits: acts on many photos at once, and taking acts back."""

from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.access import Doing, Seeing
from accounts.api.problems import problems
from accounts.api.views import GenericViewSet
from accounts.roles import Permission
from gallery import photo_selection
from gallery.api.serializers.edits import (
    EditedSerializer,
    EditManySerializer,
    EditSerializer,
    FavouritesSerializer,
    MarkedSerializer,
    UndoneSerializer,
)
from photos.models import Edit
from photos.services import favourites
from processing.services import photo_edits

TAGS = ["edits"]


@extend_schema_view(
    list=extend_schema(
        summary="List edits, the latest first",
        description="Of the libraries in which you hold `photos.edit`.",
        tags=TAGS,
        responses={200: EditSerializer(many=True), **problems(400)},
    ),
    retrieve=extend_schema(summary="Read about an edit", tags=TAGS, responses={200: EditSerializer, **problems(404)}),
)
class EditViewSet(ListModelMixin, RetrieveModelMixin, GenericViewSet):
    """Edits of the libraries in which the caller may edit."""

    access = {
        "list": Seeing(Permission.EDIT_PHOTOS),
        "retrieve": Seeing(Permission.EDIT_PHOTOS),
        # the service asks for each library of the photos that are named
        "create": Doing(Permission.EDIT_PHOTOS),
        "undo": Doing(Permission.EDIT_PHOTOS, seeing=Permission.EDIT_PHOTOS),
        "favourites": Seeing(Permission.VIEW_PHOTOS),
    }
    serializer_class = EditSerializer
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Edit]:
        """Give what the caller may see."""
        return Edit.objects.visible_to(self.request.user).with_counts().select_related("undone_by")

    @extend_schema(
        summary="Say the same of many photos",
        description="Of those with these ids, all of which you may edit, or of those that a filter keeps, in the "
        f"libraries in which you may. Up to {photo_edits.AT_ONCE} photos are edited at once (200); more, up to "
        f"{photo_selection.PHOTOS_AT_MOST:,}, in the background within moments (202): `photo_count` of the edit tells "
        "how far it is. A `dry_run` counts and changes nothing. It takes `photos.edit`, and hiding "
        "`photos.moderate`.",
        tags=TAGS,
        request=EditManySerializer,
        responses={200: EditedSerializer, 202: EditedSerializer, **problems(400, 403, 404)},
    )
    def create(self, request: Request) -> Response:
        """Edit, or begin to."""
        given = EditManySerializer(data=request.data)
        given.is_valid(raise_exception=True)
        said = given.validated_data["changes"]
        photos = photo_selection.selected(given.validated_data, request=request, permissions=photo_edits.takes(said))
        made: list[Edit] = []
        if not given.validated_data["dry_run"]:
            made = photo_edits.edit_photos(photos=photos, said=said, by=request.user)
        shown = self.get_queryset().filter(pk__in=[edit.pk for edit in made]).order_by("pk")
        is_later = len(photos) > photo_edits.AT_ONCE and bool(made)
        return Response(
            EditedSerializer({"matched": len(photos), "edits": shown}).data,
            status=status.HTTP_202_ACCEPTED if is_later else status.HTTP_200_OK,
        )

    @extend_schema(
        summary="Take an edit back",
        description="Each photo gets back what the edit changed, but for what somebody has changed since. It is an "
        "edit itself: take that back to have the first one again. Taken back before: 409, `already_undone`.",
        tags=TAGS,
        request=None,
        responses={200: UndoneSerializer, **problems(403, 404, 409)},
    )
    @action(detail=True, methods=["post"])
    def undo(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Take it back."""
        back, changed, left = photo_edits.undo_edit(edit=self.get_object(), by=request.user)
        edit = self.get_queryset().get(pk=back.pk)
        return Response(UndoneSerializer({"edit": edit, "changed": changed, "left": left}).data)

    @extend_schema(
        summary="Mark many photos as favourites of yours, or take the marks away",
        description="Of those with these ids, all of which you may see, or of those that a filter keeps.",
        tags=TAGS,
        request=FavouritesSerializer,
        responses={200: MarkedSerializer, **problems(400, 404)},
    )
    @action(detail=False, methods=["post"])
    def favourites(self, request: Request) -> Response:
        """Mark them."""
        given = FavouritesSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        photos = photo_selection.selected(given.validated_data, request=request, permissions=[])
        act = favourites.mark if given.validated_data["is_favourite"] else favourites.unmark
        changed = act(photo_ids=[photo_id for _, photo_id in photos], user=request.user)
        return Response(MarkedSerializer({"changed": changed}).data)
