"""The bytes of photos: renditions to look at, originals to keep."""

from uuid import UUID

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request

from accounts.api.access import Doing, Seeing
from accounts.api.problems import problems
from accounts.api.views import GenericViewSet
from accounts.roles import Permission
from gallery import downloads, sidecars
from gallery.api.links import VERSION_PARAMETER
from gallery.api.negotiation import AnyAccepted
from photos import storage
from photos.models import Photo, Rendition
from processing.engines.imaging import MEDIA_TYPES
from processing.engines.sidecar_writer import MEDIA_TYPE

VERSION = OpenApiParameter(
    VERSION_PARAMETER,
    OpenApiTypes.STR,
    description="The version that the address was given with. With the current one the image may be kept for ever.",
)


class OriginalSerializer(serializers.Serializer):
    """Input: what is wanted of an original."""

    metadata = serializers.ChoiceField(
        choices=["xmp"], required=False, help_text="Instead of the file, what is shown of it as an XMP sidecar."
    )


class PhotoFileViewSet(GenericViewSet):
    """The bytes of photos that the caller may see."""

    access = {"rendition": Seeing(Permission.VIEW_PHOTOS), "original": Doing(Permission.DOWNLOAD_ORIGINALS)}
    content_negotiation_class = AnyAccepted
    throttle_scope = "media"
    lookup_value_converter = "uuid"
    pagination_class = None
    filter_backends = ()

    def get_queryset(self) -> QuerySet[Photo]:
        """Give what the caller may see."""
        return Photo.objects.visible_to(self.request.user)

    @extend_schema(
        summary="Look at a rendition",
        tags=["photos"],
        parameters=[VERSION],
        responses={(200, "image/jpeg"): OpenApiTypes.BINARY, 304: None, **problems(404)},
    )
    @action(detail=True, url_path="renditions/<slug:kind>")
    def rendition(self, request: Request, pk: UUID, kind: str) -> HttpResponseBase:
        """Give a preview or a thumbnail."""
        row = get_object_or_404(Rendition.objects.filter(photo__in=self.get_queryset()), photo=pk, kind=kind)
        is_current = request.query_params.get(VERSION_PARAMETER) == row.version
        return downloads.object_response(
            request,
            alias=storage.RENDITIONS,
            key=row.storage_key,
            content_type=row.mime_type,
            etag=row.sha256,
            cache_control=downloads.IMMUTABLE if is_current else downloads.REVALIDATE,
            filename=f"{kind}.jpg",
        )

    @extend_schema(
        summary="Download the original",
        description="Always as an attachment: it is a stranger's file, and it is never altered. `metadata=xmp` gives "
        "what goes beside it instead: an XMP sidecar (ISO 16684-1) of what is shown of the photo, corrections and tags "
        "among it.",
        tags=["photos"],
        parameters=[OriginalSerializer],
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            **{(200, media_type): OpenApiTypes.BINARY for media_type in MEDIA_TYPES},
            (200, MEDIA_TYPE): OpenApiTypes.BINARY,
            304: None,
            **problems(400, 403, 404),
        },
    )
    @action(detail=True)
    def original(self, request: Request, pk: UUID) -> HttpResponseBase:  # noqa: ARG002 - the framework's signature
        """Give the bytes as they were uploaded, or the sidecar."""
        given = OriginalSerializer(data=request.query_params)
        given.is_valid(raise_exception=True)
        photo = self.get_object()
        if "metadata" in given.validated_data:
            return sidecars.sidecar_response(photo)
        return downloads.original_response(request, photo=photo, taker=request.user)
