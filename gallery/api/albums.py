"""Albums: photos put together by hand, or by a stored filter."""

from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from accounts.api.access import Doing, Seeing
from accounts.api.problems import problems
from accounts.api.promises.conditions import ConditionalMixin
from accounts.api.views import GenericViewSet
from accounts.models import Library
from accounts.roles import Permission
from gallery import photo_selection
from gallery.api.filters import LibraryFilter
from gallery.api.serializers.albums import (
    AlbumChangedSerializer,
    AlbumChangesSerializer,
    AlbumCreationSerializer,
    AlbumMoveSerializer,
    AlbumPhotosSerializer,
    AlbumSerializer,
)
from gallery.models import Album
from gallery.models.album import AlbumKind, count_photos
from gallery.services import albums
from photos.models import Photo

TAGS = ["albums"]


@extend_schema_view(
    list=extend_schema(
        summary="List albums, newest first", tags=TAGS, responses={200: AlbumSerializer(many=True), **problems(400)}
    ),
)
class AlbumViewSet(ConditionalMixin, ListModelMixin, GenericViewSet):
    """Albums of the libraries that the caller may see."""

    access = {
        **dict.fromkeys(("list", "retrieve"), Seeing(Permission.VIEW_PHOTOS)),
        **dict.fromkeys(
            ("create", "partial_update", "destroy", "add", "remove", "move"), Doing(Permission.EDIT_PHOTOS)
        ),
    }
    serializer_class = AlbumSerializer
    filterset_class = LibraryFilter
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Album]:
        """Give what the caller may see."""
        return Album.objects.visible_to(self.request.user).with_cover(self.request.user)

    def paginate_queryset(self, queryset: QuerySet[Album]) -> list[Album] | None:
        """Give a page, with how many photos each has."""
        page = super().paginate_queryset(queryset)
        if page is not None:
            count_photos(page, user=self.request.user)
        return page

    @extend_schema(
        summary="Make an album",
        description="By hand, or, with a `filter`, a smart one: all photos of the library that the filter keeps at the "
        "moment at which somebody looks, as far as they may see them.",
        tags=TAGS,
        request=AlbumCreationSerializer,
        responses={201: AlbumSerializer, **problems(400, 403, 404)},
    )
    def create(self, request: Request) -> Response:
        """Make it."""
        given = self._given(AlbumCreationSerializer)
        library = get_object_or_404(Library.objects.visible_to(request.user), pk=given.pop("library"))
        album = albums.create_album(library=library, by=request.user, values=given)
        location = reverse("album-detail", [album.pk], request=request)
        return Response(self._shown(album.pk), status=status.HTTP_201_CREATED, headers={"Location": location})

    @extend_schema(
        summary="Read about an album",
        description="Its photos are `GET photos?album=ID`, in its order; of a smart album the newest upload first.",
        tags=TAGS,
        responses={200: AlbumSerializer, **problems(404)},
    )
    def retrieve(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Give it, with the number of its photos, a smart one's too."""
        return Response(self._shown(pk))

    @extend_schema(
        summary="Change an album",
        description="An album stays what it was made as: by hand, or with a filter.",
        tags=TAGS,
        request=AlbumChangesSerializer,
        responses={200: AlbumSerializer, **problems(400, 403, 404)},
    )
    def partial_update(self, request: Request, pk: UUID) -> Response:
        """Change it."""
        album = self.get_object()
        albums.change_album(album=album, by=request.user, values=self._given(AlbumChangesSerializer))
        return Response(self._shown(pk))

    @extend_schema(
        summary="Delete an album",
        description="Its photos stay.",
        tags=TAGS,
        responses={204: None, **problems(403, 404)},
    )
    def destroy(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - as above
        """Delete it."""
        albums.delete_album(album=self.get_object(), by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        summary="Put photos into an album",
        description="At its end, in this order; those that are in it stay where they are.",
        tags=TAGS,
        request=AlbumPhotosSerializer,
        responses={200: AlbumChangedSerializer, **problems(400, 403, 404, 409)},
    )
    @action(detail=True, methods=["post"], url_path="photos")
    def add(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - as above
        """Put them in."""
        album = self.get_object()
        given = self._given(AlbumPhotosSerializer)
        changed = albums.add_photos(album=album, by=request.user, photo_ids=given["photos"])
        return Response(AlbumChangedSerializer({"changed": changed}).data)

    @extend_schema(
        summary="Take photos out of an album",
        tags=TAGS,
        request=AlbumPhotosSerializer,
        responses={200: AlbumChangedSerializer, **problems(400, 403, 404, 409)},
    )
    @action(detail=True, methods=["post"], url_path="photos/remove")
    def remove(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - as above
        """Take them out."""
        album = self.get_object()
        given = self._given(AlbumPhotosSerializer)
        changed = albums.remove_photos(album=album, by=request.user, photo_ids=given["photos"])
        return Response(AlbumChangedSerializer({"changed": changed}).data)

    @extend_schema(
        summary="Move photos within an album",
        tags=TAGS,
        request=AlbumMoveSerializer,
        responses={204: None, **problems(400, 403, 404, 409)},
    )
    @action(detail=True, methods=["post"], url_path="photos/move")
    def move(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - as above
        """Move them."""
        album = self.get_object()
        given = self._given(AlbumMoveSerializer)
        albums.move_photos(album=album, by=request.user, photo_ids=given["photos"], before=given["before"])
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _given(self, serializer: type) -> dict[str, object]:
        given = serializer(data=self.request.data, context=self.get_serializer_context())
        given.is_valid(raise_exception=True)
        return dict(given.validated_data)

    def _shown(self, pk: UUID) -> dict[str, object]:
        album = get_object_or_404(self.get_queryset(), pk=pk)
        count_photos([album], user=self.request.user)
        if album.kind == AlbumKind.SMART:
            visible = Photo.objects.visible_to(self.request.user).filter(library=album.library_id)
            album.photo_count = photo_selection.narrowed(visible, album.filter, request=self.request).count()
        return AlbumSerializer(album, context=self.get_serializer_context()).data
