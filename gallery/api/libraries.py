"""What is switched per library and means work for the pipeline."""

from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import consent_text
from accounts.api.access import Doing, Seeing
from accounts.api.problems import problems
from accounts.api.serializers import ErasureReceiptSerializer, LibrarySerializer
from accounts.api.views import GenericViewSet
from accounts.models import Library
from accounts.roles import Permission
from gallery.api.serializers.processing import (
    FaceAnalysisLibrarySerializer,
    FaceAnalysisSerializer,
    ForgetLibrarySerializer,
)
from processing.face_work import face_work
from processing.services import forgetting
from processing.services.face_analysis import switch_face_analysis


class LibrarySwitchViewSet(GenericViewSet):
    """Switches of the libraries that the caller may see."""

    access = {
        "face_analysis": Seeing(Permission.VIEW_PHOTOS),
        "switch_face_analysis": Doing(Permission.SWITCH_FACE_ANALYSIS),
        # all of it takes more than this, which the service asks for
        "forget": Doing(Permission.SWITCH_FACE_ANALYSIS),
    }
    serializer_class = LibrarySerializer
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Library]:
        """Give what the caller may see."""
        return Library.objects.visible_to(self.request.user).with_own_role(self.request.user).select_related("usage")

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
        description="Faces are biometric data: who switched, when, and the version of the text that they agreed to are "
        "kept. `consent_version` names the text that was read (`consent`); another than the current one is "
        "`consent_outdated`. Off, faces and people are invisible "
        "at once and are erased in the background, names too. On, the photos that are there are planned in the "
        "background; faces that are still being erased go first.",
        tags=["libraries"],
        request=FaceAnalysisSerializer,
        responses={200: FaceAnalysisLibrarySerializer, **problems(400, 403, 404, 409)},
    )
    @face_analysis.mapping.post
    def switch_face_analysis(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - as above
        """Plan the face work of the library's photos, or erase what is known of faces."""
        library = self.get_object()
        given = FaceAnalysisSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        switch_face_analysis(library=library, by=request.user, **given.validated_data)
        return self._switched()

    @extend_schema(
        summary="Have all faces of a library erased, or the library with everything in it",
        description="`faces` takes `face_analysis.switch`: faces, vectors, chips, people and their names go, and face "
        "analysis is switched off, since it would find them all again. `everything` takes `library.edit`, "
        "`photos.purge` and `face_analysis.switch`, and the library's name typed once more: nobody is let in any more, "
        "and photos, people, runs and members go within moments, in the background. The receipt stays.",
        tags=["libraries"],
        request=ForgetLibrarySerializer,
        responses={202: ErasureReceiptSerializer, **problems(400, 403, 404)},
    )
    @action(detail=True, methods=["post"])
    def forget(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - as above
        """Have it erased."""
        library = self.get_object()
        given = ForgetLibrarySerializer(data=request.data)
        given.is_valid(raise_exception=True)
        if given.validated_data["what"] == "faces":
            receipt = forgetting.forget_faces(library=library, by=request.user)
        else:
            receipt = forgetting.forget_library(library=library, by=request.user, name=given.validated_data["name"])
        return Response(ErasureReceiptSerializer(receipt).data, status=status.HTTP_202_ACCEPTED)

    def _switched(self) -> Response:
        library = self.get_object()
        library.face_work = face_work(library)
        library.consent = {"version": consent_text.VERSION, "text": consent_text.TEXT}
        # who switched, and when they changed their mind, is for those who may switch
        is_told = Permission.SWITCH_FACE_ANALYSIS in library.own_permissions
        library.consent_history = library.consent_records.history() if is_told else []
        return Response(FaceAnalysisLibrarySerializer(library, context=self.get_serializer_context()).data)
