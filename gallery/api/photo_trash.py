"""The trash, and what leaves it: back to where it was, or for good."""

from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import require
from accounts.api.access import Doing
from accounts.api.problems import problems
from accounts.roles import Permission
from gallery.api.serializers.photos import DeletionSerializer, PhotoDetailSerializer
from photos.models import Photo
from photos.services import trash as photo_trash
from processing.services import trash

TAGS = ["photos"]


class TrashMixin:
    """Deleting a photo and bringing it back. For a view that has `_detail`."""

    access = {"destroy": Doing(Permission.TRASH_PHOTOS), "restore": Doing(Permission.TRASH_PHOTOS)}

    @extend_schema(
        summary="Delete a photo",
        description="Moves it to the trash, from where it can be restored until it expires; one that is there already "
        "stays there. With `permanently` it goes for good, also out of the trash: rows, faces and files. It takes the "
        "permission `photos.purge` beside `photos.trash`.",
        tags=TAGS,
        parameters=[DeletionSerializer],
        responses={204: None, **problems(400, 403, 404, 409)},
    )
    def destroy(self, request: Request, pk: UUID) -> Response:
        """Move a photo to the trash, or delete it for good."""
        given = DeletionSerializer(data=request.query_params)
        given.is_valid(raise_exception=True)
        permanently = given.validated_data["permanently"]
        photo = self._photo_or_trashed(request, pk)
        if permanently:
            require(request.user, Permission.PURGE_PHOTOS, library_id=photo.library_id)
            trash.purge(photo_ids=[photo.pk], also_present=True, by=request.user)
        else:
            photo_trash.move_to_trash(photo_ids=[photo.pk])
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        summary="Bring a photo back from the trash",
        description="A photo that is not in the trash stays as it is.",
        tags=TAGS,
        request=None,
        responses={200: PhotoDetailSerializer, **problems(403, 404)},
    )
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, pk: UUID) -> Response:
        """Restore a photo; what its processing has missed is made up for."""
        photo = self._photo_or_trashed(request, pk)
        trash.restore(photo_ids=[photo.pk], by=request.user)
        return self._detail(photo.pk)

    def _photo_or_trashed(self, request: Request, pk: UUID) -> Photo:
        photos = Photo.objects.visible_to(request.user) | Photo.objects.in_trash_of(request.user)
        photo = get_object_or_404(photos, pk=pk)
        self.check_object_permissions(request, photo)
        return photo
