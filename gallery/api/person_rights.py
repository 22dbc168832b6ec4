"""What somebody on the photos may ask for: all that is held on them, and to be forgotten."""

from uuid import UUID

from django.http import StreamingHttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import require
from accounts.api.access import Doing
from accounts.api.problems import problems
from accounts.api.serializers import ErasureReceiptSerializer
from accounts.roles import Permission
from gallery.api.serializers.people import PersonExportSerializer
from photos.services import person_export
from processing.services import forgetting

# who answers for what is known of faces; and who may say who is who, which is asked for besides
ANSWERING = Doing(Permission.SWITCH_FACE_ANALYSIS, seeing=Permission.VIEW_PEOPLE)


class PersonRightsMixin:
    """Export and erasure of a person."""

    @extend_schema(
        summary="Export all that is held on a person",
        description="One JSON document, streamed: name, dates, and of each face the photo, box, scores, decisions, the "
        "vector of each model, and the chip. It takes `people.edit` and `face_analysis.switch`, and is noted in the "
        "trail.",
        tags=["people"],
        responses={(200, "application/json"): PersonExportSerializer, **problems(403, 404)},
    )
    @action(detail=True, sparse=False)
    def export(self, request: Request, pk: UUID) -> StreamingHttpResponse:  # noqa: ARG002 - the framework's signature
        """Send it while it is read."""
        person = self.get_object()
        require(request.user, Permission.EDIT_PEOPLE, library_id=person.library_id)
        pieces = person_export.export_person(person=person, by=request.user)
        headers = {
            "Content-Disposition": f'attachment; filename="person-{person.pk}.json"',
            "Cache-Control": "private, no-store",
        }
        return StreamingHttpResponse(pieces, content_type="application/json", headers=headers)

    @extend_schema(
        summary="Forget a person",
        description="The name goes at once; faces, vectors, chips and the person within moments, in the background. "
        "Detection does not keep a face again in the same places of the same photos. It takes `people.edit` and "
        "`face_analysis.switch`. Asked for twice, it is one erasure.",
        tags=["people"],
        request=None,
        responses={202: ErasureReceiptSerializer, **problems(403, 404)},
    )
    @action(detail=True, methods=["post"])
    def forget(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Have the person erased."""
        receipt = forgetting.forget_person(person=self.get_object(), by=request.user)
        return Response(ErasureReceiptSerializer(receipt).data, status=status.HTTP_202_ACCEPTED)
