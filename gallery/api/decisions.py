"""Decisions about people: what was decided, and undoing it."""

from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.access import Doing, Seeing
from accounts.api.problems import problems
from accounts.api.views import GenericViewSet
from accounts.roles import Permission
from gallery.api.filters import DecisionFilter
from gallery.api.serializers.decisions import DecisionSerializer
from photos.models import PersonDecision
from photos.services import person_undo

TAGS = ["people"]


@extend_schema_view(
    list=extend_schema(
        summary="List what was decided about people, newest first",
        description="Names, merges, splits, moves, rejections and so on, each one act; what was undone is among them.",
        tags=TAGS,
        responses={200: DecisionSerializer(many=True), **problems(400)},
    ),
)
class DecisionViewSet(ListModelMixin, GenericViewSet):
    """Decisions of the libraries in which the caller may see people."""

    access = {
        "list": Seeing(Permission.VIEW_PEOPLE),
        "undo": Doing(Permission.EDIT_PEOPLE, seeing=Permission.VIEW_PEOPLE),
    }
    serializer_class = DecisionSerializer
    filterset_class = DecisionFilter
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[PersonDecision]:
        """Give what the caller may see."""
        return PersonDecision.objects.visible_to(self.request.user).with_face_count().select_related("person")

    @extend_schema(
        summary="Undo a decision",
        description="As one act: faces go back to whom they were of, and what it had ended holds again. Where "
        "something later rests on it, 409 `decided_since` names that `decision` and its `kind`: undo that one first. "
        "One that was undone is 409 `already_undone`.",
        tags=TAGS,
        request=None,
        responses={200: DecisionSerializer, **problems(403, 404, 409)},
    )
    @action(detail=True, methods=["post"])
    def undo(self, request: Request, pk: UUID) -> Response:
        """Undo it."""
        person_undo.undo(decision=self.get_object(), by=request.user)
        return Response(self.get_serializer(self.get_queryset().get(pk=pk)).data)
