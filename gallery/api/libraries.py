"""What is switched per library and means work for the pipeline."""

from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.api.access import Doing, Seeing
from accounts.api.problems import problems
from accounts.api.serializers import LibrarySerializer
from accounts.models import Library
from accounts.roles import Permission
from gallery.api.serializers.processing import FaceAnalysisLibrarySerializer, FaceAnalysisSerializer
from processing.face_work import face_work
from processing.services.face_analysis import switch_face_analysis


class LibrarySwitchViewSet(GenericViewSet):
    """Switches of the libraries that the caller may see."""

    access = {
        "face_analysis": Seeing(Permission.VIEW_PHOTOS),
        "switch_face_analysis": Doing(Permission.SWITCH_FACE_ANALYSIS),
    }
    serializer_class = LibrarySerializer
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Library]:
        """Give what the caller may see."""
        return Library.objects.visible_to(self.request.user).with_own_role(self.request.user)

    @extend_schema(
        summary="Read the switch of face analysis, and what goes on behind it",
        description="While `face_work.erasure` is open, faces are being erased; its `report` is the receipt.",
        tags=["libraries"],
        responses={200: FaceAnalysisLibrarySerializer, **problems(404)},
    )
    @action(detail=True, url_path="face-analysis")
    def face_analysis(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Give the library with the last erasure and the last planning."""
        return self._switched()

    @extend_schema(
        summary="Switch face analysis on or off",
        description="Faces are biometric data: who switched, and when, is kept. Off, faces and people are invisible "
        "at once and are erased in the background, names too. On, the photos that are there are planned in the "
        "background; faces that are still being erased go first.",
        tags=["libraries"],
        request=FaceAnalysisSerializer,
        responses={200: FaceAnalysisLibrarySerializer, **problems(400, 403, 404)},
    )
    @face_analysis.mapping.post
    def switch_face_analysis(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - as above
        """Plan the face work of the library's photos, or erase what is known of faces."""
        library = self.get_object()
        given = FaceAnalysisSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        switch_face_analysis(library=library, enabled=given.validated_data["enabled"], by=request.user)
        return self._switched()

    def _switched(self) -> Response:
        library = self.get_object()
        library.face_work = face_work(library)
        return Response(FaceAnalysisLibrarySerializer(library, context=self.get_serializer_context()).data)
