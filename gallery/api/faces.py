"""Faces: their chips."""

from uuid import UUID

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request

from accounts.api.access import Seeing
from accounts.api.problems import problems
from accounts.api.views import GenericViewSet
from accounts.roles import Permission
from gallery import downloads
from gallery.api.links import VERSION_PARAMETER, chip_version
from gallery.api.negotiation import AnyAccepted
from gallery.api.photo_files import VERSION
from photos import storage
from photos.models import Face


class FaceViewSet(GenericViewSet):
    """Faces that the caller may see."""

    access = {"chip": Seeing(Permission.VIEW_PEOPLE)}
    content_negotiation_class = AnyAccepted
    throttle_scope = "media"
    lookup_value_converter = "uuid"
    pagination_class = None
    filter_backends = ()

    def get_queryset(self) -> QuerySet[Face]:
        """Give what the caller may see."""
        return Face.objects.visible_to(self.request.user).kept()

    @extend_schema(
        summary="Look at a face chip",
        tags=["people"],
        parameters=[VERSION],
        responses={(200, "image/jpeg"): OpenApiTypes.BINARY, 304: None, **problems(404)},
    )
    @action(detail=True)
    def chip(self, request: Request, pk: UUID) -> HttpResponseBase:  # noqa: ARG002 - the framework's signature
        """Give the picture of a face."""
        face = self.get_object()
        version = chip_version(face.chip_key)
        is_current = request.query_params.get(VERSION_PARAMETER) == version
        return downloads.object_response(
            request,
            alias=storage.RENDITIONS,
            key=face.chip_key,
            content_type="image/jpeg",
            etag=version,
            cache_control=downloads.IMMUTABLE if is_current else downloads.REVALIDATE,
            filename="face.jpg",
        )
