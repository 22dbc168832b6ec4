"""Faces: whose they are, and saying so. Their chips are files, of another view."""

from collections.abc import Sequence
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.access import Seeing
from accounts.api.problems import problems
from accounts.api.promises.conditions import ConditionalMixin
from accounts.api.views import GenericViewSet
from accounts.problems import NotFoundError
from accounts.roles import Permission
from gallery.api.filters import FaceFilter
from gallery.api.person_acts import DECIDING, UNDONE
from gallery.api.serializers.faces import (
    DecidedFaceSerializer,
    FaceChangeSerializer,
    ListedFaceSerializer,
    RejectionSerializer,
)
from photos.models import Face, Person, PersonDecision
from photos.services import people

TAGS = ["people"]


@extend_schema_view(
    list=extend_schema(
        summary="List faces, newest first",
        description="Those that are shown, on photos that are not in the trash.",
        tags=TAGS,
        responses={200: ListedFaceSerializer(many=True), **problems(400)},
    ),
    retrieve=extend_schema(
        summary="Read about a face", tags=TAGS, responses={200: ListedFaceSerializer, **problems(404)}
    ),
)
class FaceActViewSet(ConditionalMixin, ListModelMixin, RetrieveModelMixin, GenericViewSet):
    """Faces that the caller may see."""

    access = {
        "list": Seeing(Permission.VIEW_PEOPLE),
        "retrieve": Seeing(Permission.VIEW_PEOPLE),
        "partial_update": DECIDING,
        "reject": DECIDING,
        "confirm": DECIDING,
    }
    told_of_changes = frozenset({"decisions"})
    serializer_class = ListedFaceSerializer
    filterset_class = FaceFilter
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Face]:
        """Give what the caller may see."""
        return Face.objects.visible_to(self.request.user).kept().select_related("person", "photo")

    @extend_schema(
        summary="Say whose a face is",
        description="A person of the same library, somebody new (`new_person`), or null for nobody: the face is "
        f"pinned, and no grouping moves it again. It ends what was said of the same face before. {UNDONE}",
        tags=TAGS,
        request=FaceChangeSerializer,
        responses={200: DecidedFaceSerializer, **problems(400, 403, 404, 409)},
    )
    def partial_update(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Move a face."""
        face = self.get_object()
        given = FaceChangeSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        person_id, new = given.validated_data.get("person"), given.validated_data.get("new_person")
        made = people.decide_face(
            face=face, person=self._person(person_id, face), new_name=new and new["name"], by=request.user
        )
        return self._decided(face, made)

    @extend_schema(
        summary="Say who a face is not",
        description="If it is theirs, it is nobody's until a grouping finds somebody else. Of a face that is nobody's "
        f"it takes a person: 409 `of_nobody`. {UNDONE}",
        tags=TAGS,
        request=RejectionSerializer,
        responses={200: DecidedFaceSerializer, **problems(400, 403, 404, 409)},
    )
    @action(detail=True, methods=["post"])
    def reject(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Say that a face is not somebody."""
        face = self.get_object()
        given = RejectionSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        person = self._person(given.validated_data.get("person"), face)
        return self._decided(face, people.reject_face(face=face, person=person, by=request.user))

    @extend_schema(
        summary="Confirm whose a face is",
        description=f"The face is pinned to the person whose it is. One that is nobody's is 409 `of_nobody`. {UNDONE}",
        tags=TAGS,
        request=None,
        responses={200: DecidedFaceSerializer, **problems(403, 404, 409)},
    )
    @action(detail=True, methods=["post"])
    def confirm(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Say that it is who it was taken for."""
        face = self.get_object()
        return self._decided(face, people.confirm_face(face=face, by=request.user))

    def _person(self, person_id: UUID | None, face: Face) -> Person | None:
        """Give the person whom the body names, of the library of the face."""
        if person_id is None:
            return None
        people_there = Person.objects.visible_to(self.request.user).filter(library=face.library_id)
        person = people_there.filter(pk=person_id).first()
        if person is None:
            raise NotFoundError("The person is not there, or you may not see it.")
        return person

    def _decided(self, face: Face, *made: Sequence[PersonDecision | None]) -> Response:
        context = {**self.get_serializer_context(), "decisions": [one for one in made if one]}
        shown = self.get_queryset().filter(pk=face.pk).first() or face
        return Response(DecidedFaceSerializer(shown, context=context).data)
