"""What people say of one photo: corrections with their history, favourites."""

from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.access import Doing, Seeing
from accounts.api.problems import problems
from accounts.roles import Permission
from gallery.api.pagination import NewestFirst
from gallery.api.serializers.edits import PhotoChangesSerializer, RevisionSerializer
from gallery.api.serializers.photos import PhotoDetailSerializer
from photos.models import Revision
from photos.services import favourites, tags
from processing.services import photo_edits

TAGS = ["photos"]


class PhotoEditsMixin:
    """Editing a photo and marking it. For a view that has `_detail`."""

    access = {
        # or, to hide it, another permission: the service asks for what the changes take
        "partial_update": Doing(Permission.EDIT_PHOTOS),
        "history": Seeing(Permission.VIEW_PHOTOS),
        "favourite": Seeing(Permission.VIEW_PHOTOS),
        "unfavourite": Seeing(Permission.VIEW_PHOTOS),
    }

    def lock_for_change(self) -> None:
        """Keep the photo as it is, and before it its tags: who merges them locks in this order."""
        tags.hold(worn_by=[self.kwargs["pk"]])
        super().lock_for_change()  # type: ignore[misc]

    @extend_schema(
        summary="Correct what is said of a photo",
        description="Title, caption, rating, time, position and tags take `photos.edit`, hiding it from visitors "
        "`photos.moderate`. The file is never altered: `null` goes back to what it says. Each change is kept and can "
        "be taken back (`GET photos/{id}/history`).",
        tags=TAGS,
        request=PhotoChangesSerializer,
        responses={200: PhotoDetailSerializer, **problems(400, 403, 404)},
    )
    def partial_update(self, request: Request, pk: UUID) -> Response:
        """Say something of a photo."""
        photo = get_object_or_404(self.get_queryset(), pk=pk)
        given = PhotoChangesSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        photo_edits.edit_photos(photos=[(photo.library_id, photo.pk)], said=given.validated_data, by=request.user)
        return self._detail(pk)

    @extend_schema(
        summary="List what was said of a photo, the latest first",
        description="An edit that was taken back stays in the list, as does the one that took it back.",
        tags=TAGS,
        responses={(200, "application/json"): RevisionSerializer(many=True), **problems(400, 404)},
    )
    @action(detail=True, filterset_class=None, pagination_class=NewestFirst, serializer_class=RevisionSerializer)
    def history(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Give a page of revisions."""
        revisions: QuerySet[Revision] = Revision.objects.filter(photo=self.get_object()).select_related("edit")
        page = self.paginator.paginate_queryset(revisions, request, view=self)
        return self.get_paginated_response(RevisionSerializer(page, many=True).data)

    @extend_schema(
        summary="Make a photo a favourite of yours",
        description="For yourself: nobody else sees it. One that is stays one.",
        tags=TAGS,
        request=None,
        responses={204: None, **problems(404)},
    )
    @action(detail=True, methods=["put"])
    def favourite(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - as above
        """Mark it."""
        favourites.mark(photo_ids=[self.get_object().pk], user=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(summary="Make a photo no favourite of yours", tags=TAGS, responses={204: None, **problems(404)})
    @favourite.mapping.delete
    def unfavourite(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - as above
        """Take the mark away."""
        favourites.unmark(photo_ids=[self.get_object().pk], user=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)
