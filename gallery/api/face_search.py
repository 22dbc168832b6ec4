"""Faces that are near to one: of a library, or on a picture that is sent."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.access import Seeing, Somewhere
from accounts.api.problems import problems
from accounts.api.views import GenericViewSet
from accounts.models import AuditAction, Library
from accounts.roles import Permission
from accounts.services import audit
from gallery.api.ranking import in_order, limit_parameter, read_limit
from gallery.api.serializers.ranking import FaceSearchSerializer, FoundFacesSerializer, SimilarFacesSerializer
from gallery.api.upload import HashingUploadHandler, StreamedUploadMixin, require_length
from photos.models import Face
from photos.problems import FaceAnalysisOffError, NotAnalysedYetError
from photos.search.faces import nearest_faces, people_of, vector_of
from processing.services import grouping, searching

MOST = 100


class PictureUploadHandler(HashingUploadHandler):
    """Receives a picture to search with, which may be no larger than SEARCH_FACE_MAX_BYTES."""

    @property
    def max_bytes(self) -> int:
        """How large it may be."""
        return settings.SEARCH_FACE_MAX_BYTES


class FaceSearchViewSet(StreamedUploadMixin, GenericViewSet):
    """Who is on a picture that is no photo of any library."""

    access = {"face": Somewhere(Permission.VIEW_PEOPLE)}
    # workers answer what was committed
    apart = frozenset({"face"})
    serializer_class = FoundFacesSerializer
    upload_handler_class = PictureUploadHandler
    parser_classes = (MultiPartParser,)
    pagination_class = None
    filter_backends = ()

    def get_queryset(self) -> QuerySet[Face]:
        """Give the faces that the caller may see."""
        return Face.objects.visible_to(self.request.user).kept()

    @extend_schema(
        summary="List the faces nearest to a face on a picture, and whose they are",
        description="The largest face of the picture is used, or the one that `face` names by its place among them, "
        "the largest being 0. The picture is looked at by workers within seconds, and nothing of it is kept. Only "
        "libraries with face analysis on are searched, in which you may see people. Codes: `no_face_found`, "
        "`no_such_face` (422), `face_analysis_off` (409: there is no library to search), `model_not_installed` (409), "
        "`face_search_unavailable` (503), and those of an upload.",
        tags=["people"],
        request={"multipart/form-data": FaceSearchSerializer},
        responses={200: FoundFacesSerializer, **problems(400, 403, 404, 409, 411, 413, 415, 422, 503)},
    )
    @action(detail=False, methods=["post"])
    def face(self, request: Request) -> Response:
        """Find them."""
        require_length(request)
        given = FaceSearchSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        library_id, limit = given.validated_data.get("library"), given.validated_data["limit"]
        searched = Library.objects.permitting(request.user, Permission.VIEW_PEOPLE)
        searched = searched & Library.objects.visible_to(request.user)
        if library_id is not None:
            searched = searched.filter(pk=get_object_or_404(searched, pk=library_id).pk)
        if not searched.filter(face_analysis=True).exists():
            # before anybody looks at the picture
            raise FaceAnalysisOffError("Face analysis is off where you may see people, so there is nobody to find.")
        rule = grouping.require_rule()
        found = searching.face_of_picture(given.validated_data["file"].file, face=given.validated_data["face"])
        faces = self.get_queryset().filter(photo__library__in=searched)
        near = near_faces(faces, rule=rule, vector=found.vector, limit=limit)
        self._tell(library_id, near)
        answer = {**near, "boxes": found.boxes, "used": found.used}
        return Response(self.get_serializer(answer).data)

    def _tell(self, library_id: UUID | None, near: Mapping[str, Any]) -> None:
        """Write into the trail that somebody looked for who is on a picture, and who that may be."""
        found = {"faces": len(near["faces"]), "people": [str(one.person.pk) for one in near["people"]]}
        audit.record(action=AuditAction.FACE_SEARCHED, actor=self.request.user, library_id=library_id, details=found)


class SimilarFaceViewSet(GenericViewSet):
    """Faces that the caller may see, as what others are compared with."""

    access = {"similar": Seeing(Permission.VIEW_PEOPLE)}
    lookup_value_converter = "uuid"
    serializer_class = SimilarFacesSerializer
    pagination_class = None
    filter_backends = ()

    def get_queryset(self) -> QuerySet[Face]:
        """Give what the caller may see."""
        return Face.objects.visible_to(self.request.user).kept()

    @extend_schema(
        summary="List the faces nearest to a face, and whose they are",
        description="Of all libraries in which you may see people, by the face model in use; a bounded list, without "
        "pages. Codes: `model_not_installed` (409: no face model is in use), `not_analysed_yet` (409: that model has "
        "not embedded the face yet).",
        tags=["people"],
        parameters=[limit_parameter(MOST)],
        responses={200: SimilarFacesSerializer, **problems(400, 404, 409)},
    )
    @action(detail=True)
    def similar(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Give them."""
        face, limit = self.get_object(), read_limit(request, most=MOST)
        rule = grouping.require_rule()
        vector = vector_of(face, model=rule.model.name)
        if vector is None:
            raise NotAnalysedYetError("The face has not been embedded by the model in use yet. Try again later.")
        others = self.get_queryset().exclude(pk=face.pk)
        return Response(self.get_serializer(near_faces(others, rule=rule, vector=vector, limit=limit)).data)


def near_faces(among: QuerySet[Face], *, rule: grouping.Rule, vector: Sequence[float], limit: int) -> dict[str, Any]:
    """Give the faces nearest to a vector, as SimilarFacesSerializer takes them."""
    ranked = nearest_faces(among, model=rule.model.name, vector=vector, limit=limit)
    faces = in_order(among.select_related("person"), ranked)
    return {"model": rule.model.name, "threshold": rule.threshold, "faces": faces, "people": people_of(faces)}
