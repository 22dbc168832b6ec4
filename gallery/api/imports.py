"""Imports: folders and buckets of the installation, read into libraries in the background."""

from typing import ClassVar
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from accounts.api.access import RUNS_INSTALLATION
from accounts.api.problems import problems
from accounts.api.views import GenericViewSet
from gallery.api.serializers.imports import (
    ImportDetailSerializer,
    ImportedFileSerializer,
    ImportSerializer,
    NewImportSerializer,
    RescanSerializer,
    SourcesSerializer,
)
from processing.models import FileState, Import, ImportedFile
from processing.services import imports

TAGS = ["imports"]
SIDECAR_REFUSED = "sidecar_refused"
FILE_CHOICES = (*FileState.choices, (SIDECAR_REFUSED, "taken in, without its sidecar"))


class ImportedFileFilter(filters.FilterSet):
    """Narrows the files of an import."""

    state = filters.ChoiceFilter(
        choices=FILE_CHOICES,
        method="filter_state",
        help_text="What became of them; `sidecar_refused`: of what lies beside them.",
    )

    class Meta:
        model = ImportedFile
        fields: ClassVar[list[str]] = []

    def filter_state(self, files: QuerySet[ImportedFile], _name: str, value: str) -> QuerySet[ImportedFile]:
        """Keep the files in a state."""
        return files.exclude(sidecar_code="") if value == SIDECAR_REFUSED else files.filter(state=value)


@extend_schema_view(
    list=extend_schema(
        summary="List imports, newest first",
        description="For superusers, as all of this.",
        tags=TAGS,
        responses={200: ImportSerializer(many=True), **problems(400, 403)},
    ),
    retrieve=extend_schema(
        summary="Read an import",
        description="How far it is, what it has counted, and the first files that it refused.",
        tags=TAGS,
        responses={200: ImportDetailSerializer, **problems(403, 404)},
    ),
)
class ImportViewSet(ListModelMixin, RetrieveModelMixin, GenericViewSet):
    """Imports into all libraries: what lies on the server is for whoever runs it."""

    access = dict.fromkeys(
        ("list", "retrieve", "create", "sources", "files", "pause", "resume", "cancel", "rescan"), RUNS_INSTALLATION
    )
    serializer_class = ImportSerializer
    # of the list of files alone
    filterset_class = None
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Import] | QuerySet[ImportedFile]:
        """Give the imports that the caller may see; of one, the files that it was the last to look at."""
        visible = Import.objects.visible_to(self.request.user)
        return ImportedFile.objects.filter(scan__in=visible) if self.action == "files" else visible.with_state()

    def get_serializer_class(self) -> type[ImportSerializer]:
        """Give more of one than of many."""
        return ImportDetailSerializer if self.action == "retrieve" else ImportSerializer

    @extend_schema(
        summary="List the places that may be imported from",
        description="Those that the setting IMPORT_SOURCES names, all of them, in the order of their names.",
        tags=TAGS,
        responses={200: SourcesSerializer, **problems(403)},
        filters=False,
    )
    @action(detail=False, pagination_class=None)
    def sources(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Give the sources."""
        return Response(SourcesSerializer({"sources": imports.sources()}).data)

    @extend_schema(
        summary="Import a folder or a bucket",
        description="Its photos are taken into the library in the background, as uploads of yours; nothing in the "
        "source is ever written, moved or deleted. `copy`: Darkroom keeps originals of its own. `reference`: the "
        "originals stay where they are, and who alters or deletes them there takes them from Darkroom. What was "
        "imported before is not read again unless it has changed. A path that leads out of the source, and a source "
        "that IMPORT_SOURCES does not name, is `source_not_allowed`; a place whose import has not ended "
        "`import_is_open`.",
        tags=TAGS,
        request=NewImportSerializer,
        responses={201: ImportSerializer, **problems(400, 403, 404, 409, 503)},
    )
    def create(self, request: Request) -> Response:
        """Start an import."""
        given = NewImportSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        values = dict(given.validated_data)
        made = imports.start(library_id=values.pop("library"), by=request.user, **values)
        return self._made(request, made)

    @extend_schema(
        summary="List what became of the files of an import, newest first",
        description="Of the files that no later import has looked at: what is remembered of a file is one row.",
        tags=TAGS,
        # with the media type, like the problems: the generator looks for the list in the least key
        responses={(200, "application/json"): ImportedFileSerializer(many=True), **problems(400, 403, 404)},
    )
    @action(detail=True, serializer_class=ImportedFileSerializer, filterset_class=ImportedFileFilter)
    def files(self, request: Request, pk: UUID) -> Response:
        """Give a page of files."""
        one = get_object_or_404(Import.objects.visible_to(request.user), pk=pk)
        self.check_object_permissions(request, one)
        files = self.filter_queryset(self.get_queryset().filter(scan=one))
        page = self.paginate_queryset(files)
        return self.get_paginated_response(ImportedFileSerializer(page, many=True).data)

    @extend_schema(
        summary="Pause an import",
        description="It rests behind the file in hand. One that rests stays so; one that has ended is "
        "`import_has_ended`.",
        tags=TAGS,
        request=None,
        responses={200: ImportSerializer, **problems(403, 404, 409)},
    )
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: UUID) -> Response:
        """Pause an import."""
        return self._changed(imports.pause(import_id=pk, by=request.user))

    @extend_schema(
        summary="Let an import go on",
        description="One that was paused, also by itself, or whose work has failed. One that runs stays so; one that "
        "has ended is `import_has_ended`.",
        tags=TAGS,
        request=None,
        responses={200: ImportSerializer, **problems(403, 404, 409)},
    )
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: UUID) -> Response:
        """Resume an import."""
        return self._changed(imports.resume(import_id=pk, by=request.user))

    @extend_schema(
        summary="Cancel an import",
        description="It ends behind the file in hand; what it has taken in stays. One that is finished is "
        "`import_has_ended`.",
        tags=TAGS,
        request=None,
        responses={200: ImportSerializer, **problems(403, 404, 409)},
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: UUID) -> Response:
        """Cancel an import."""
        return self._changed(imports.cancel(import_id=pk, by=request.user))

    @extend_schema(
        summary="Read the place of an import again",
        description="Another import of the same place: finds what is new, what has changed and what is missing. "
        "Nothing is deleted for it.",
        tags=TAGS,
        request=RescanSerializer,
        responses={201: ImportSerializer, **problems(400, 403, 404, 409, 503)},
    )
    @action(detail=True, methods=["post"])
    def rescan(self, request: Request, pk: UUID) -> Response:
        """Import once more."""
        given = RescanSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        return self._made(request, imports.rescan(import_id=pk, by=request.user, **given.validated_data))

    def _changed(self, one: Import) -> Response:
        return Response(ImportSerializer(self.get_queryset().get(pk=one.pk)).data)

    def _made(self, request: Request, one: Import) -> Response:
        headers = {"Location": reverse("import-detail", [one.pk], request=request)}
        data = ImportSerializer(self.get_queryset().get(pk=one.pk)).data
        return Response(data, status=status.HTTP_201_CREATED, headers=headers)
