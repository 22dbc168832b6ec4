"""Exports: photos that are taken out as zip files, with what is said of them."""

from uuid import UUID

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.access import LOGGED_IN, PUBLIC, Doing
from accounts.api.problems import problems
from accounts.api.views import GenericViewSet
from accounts.roles import Permission
from gallery import export_downloads, photo_selection
from gallery.api.negotiation import AnyAccepted
from gallery.api.serializers.exports import (
    STREAM,
    ExportCreationSerializer,
    ExportDetailSerializer,
    ExportedSerializer,
    ExportSerializer,
)
from photos.models import Export
from processing.services import exports

TAGS = ["exports"]
ZIP = (200, export_downloads.MEDIA_TYPE)
NUMBER = OpenApiParameter("number", OpenApiTypes.INT, OpenApiParameter.PATH, description="Of the file, from 1.")
TOKEN = OpenApiParameter("token", OpenApiTypes.STR, OpenApiParameter.PATH, description="As `link` of the file has it.")


@extend_schema_view(
    list=extend_schema(
        summary="List your exports, newest first",
        description="Those of libraries whose originals you may download.",
        tags=TAGS,
        responses={200: ExportSerializer(many=True), **problems(400)},
    ),
    retrieve=extend_schema(
        summary="Read about an export of yours",
        description="How far it is, and where its files are once it is ready.",
        tags=TAGS,
        responses={200: ExportDetailSerializer, **problems(404)},
    ),
)
class ExportViewSet(ListModelMixin, RetrieveModelMixin, GenericViewSet):
    """Exports that the caller has asked for. Nobody else is told that they are there."""

    access = {
        "list": LOGGED_IN,
        "retrieve": LOGGED_IN,
        "destroy": LOGGED_IN,
        "file": LOGGED_IN,
        # the service asks for each library of the photos that are named
        "create": Doing(Permission.DOWNLOAD_ORIGINALS),
    }
    serializer_class = ExportSerializer
    # a zip is what it is, whatever a client would rather have
    content_negotiation_class = AnyAccepted
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Export]:
        """Give what the caller has asked for, and may still have."""
        return exports.with_state(Export.objects.visible_to(self.request.user))

    def get_serializer_class(self) -> type[ExportSerializer]:
        """Give more of one than of many."""
        return ExportDetailSerializer if self.action == "retrieve" else ExportSerializer

    @property
    def throttle_scope(self) -> str | None:
        """A file is asked for part by part."""
        return "media" if self.action == "file" else None

    @extend_schema(
        summary="Take photos out as zip files",
        description="Those with these ids, or those that a filter keeps, in the libraries in which you may download "
        f"originals, which it takes whatever is packed; up to {photo_selection.PHOTOS_AT_MOST:,}. What you may see "
        "when it is packed is what is in it. In the `background` (202) an export is made for each library, in one "
        "file or several, and kept for some days. As a `stream` (200) one zip is sent while it is made: of few photos, "
        "else 413, `export_too_large`. Each zip has a `manifest.json` with the SHA-256 of each photo, and with the "
        "photos that could not be packed. A `dry_run` counts (200). As many exports as you may have: 409, "
        "`too_many_exports`.",
        tags=TAGS,
        request=ExportCreationSerializer,
        responses={
            (200, "application/json"): ExportedSerializer,
            ZIP: OpenApiTypes.BINARY,
            (202, "application/json"): ExportedSerializer,
            **problems(400, 403, 404, 409, 413),
        },
    )
    def create(self, request: Request) -> HttpResponseBase:
        """Export, or begin to."""
        given = ExportCreationSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        asked = given.validated_data
        photos = photo_selection.selected(asked, request=request, permissions=[Permission.DOWNLOAD_ORIGINALS])
        if asked["dry_run"]:
            return Response(ExportedSerializer({"matched": len(photos), "exports": []}).data)
        wanted = {"photos": photos, "content": asked["content"], "metadata": asked["metadata"], "by": request.user}
        if asked["delivery"] == STREAM:
            return export_downloads.streamed_response(exports.stream(**wanted))
        made = exports.request(**wanted)
        shown = exports.with_state(Export.objects.filter(pk__in=[one.pk for one in made])).order_by("pk")
        answer = ExportedSerializer({"matched": len(photos), "exports": shown}, context=self.get_serializer_context())
        return Response(answer.data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(
        summary="Delete an export of yours",
        description="With its files; one that is being made ends. Its links open nothing any more.",
        tags=TAGS,
        responses={204: None, **problems(404)},
    )
    def destroy(self, request: Request, pk: UUID) -> Response:
        """Delete it."""
        found = Export.objects.visible_to(request.user).filter(pk=pk)
        get_object_or_404(found.defer("photo_ids"))
        exports.delete(exports_of=found, by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        summary="Download a file of an export of yours",
        description="Ranges are answered. 409: it is not made yet (`export_not_ready`), or a photo of it was moved to "
        "the trash or hidden since (`export_outdated`). 410: it has expired (`export_expired`), or was withdrawn "
        "(`export_withdrawn`), as when a photo of it was deleted for good.",
        tags=TAGS,
        parameters=[NUMBER],
        responses={ZIP: OpenApiTypes.BINARY, 304: None, **problems(404, 409, 410)},
    )
    @action(detail=True, url_path="files/<int:number>", pagination_class=None, filter_backends=())
    def file(self, request: Request, pk: UUID, number: int) -> HttpResponseBase:
        """Give the bytes."""
        export = get_object_or_404(_with_asker(Export.objects.visible_to(request.user)), pk=pk)
        return export_downloads.file_response(request, export=export, number=number, by=request.user)


class ExportLinkViewSet(GenericViewSet):
    """Files of exports, for whoever has their links."""

    access = {"retrieve": PUBLIC}
    authentication_classes = ()
    content_negotiation_class = AnyAccepted
    throttle_scope = "media"
    lookup_field = "token"
    lookup_value_converter = "str"
    pagination_class = None
    filter_backends = ()
    queryset = Export.objects.none()

    @extend_schema(
        operation_id="exports_link",
        summary="Download a file of an export by its link",
        description="As its asker would, without logging in: until the export expires or is deleted, or its asker may "
        "not have it any more.",
        tags=TAGS,
        parameters=[TOKEN],
        responses={ZIP: OpenApiTypes.BINARY, 304: None, **problems(404, 409, 410)},
    )
    def retrieve(self, request: Request, token: str) -> HttpResponseBase:
        """Give the bytes."""
        link = export_downloads.read_token(token)
        export = get_object_or_404(_with_asker(Export.objects.all()), pk=link.export_id)
        asker = export.requested_by
        get_object_or_404(Export.objects.none() if asker is None else Export.objects.visible_to(asker), pk=export.pk)
        response = export_downloads.file_response(request, export=export, number=link.number, by=None)
        # the address is the key: no other site may learn it, and no search engine keep it
        response.headers.setdefault("Referrer-Policy", "no-referrer")
        response["X-Robots-Tag"] = "noindex, nofollow, noarchive"
        return response


def _with_asker(rows: QuerySet[Export]) -> QuerySet[Export]:
    return rows.select_related("requested_by").defer("photo_ids")
