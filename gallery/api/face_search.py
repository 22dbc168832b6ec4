"""Faces that are near to one."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.api.access import Seeing
from accounts.api.problems import problems
from accounts.roles import Permission
from gallery.api.ranking import in_order, limit_parameter, read_limit
from gallery.api.serializers.ranking import SimilarFacesSerializer
from photos.models import Face
from photos.problems import NotAnalysedYetError
from photos.search.faces import nearest_faces, people_of, vector_of
from processing.services import grouping

MOST = 100


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
