"""Uploads that go on where they were cut off: the tus protocol, and files that go straight to the bucket."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from accounts.api.access import Doing, Seeing
from accounts.api.parsers import BoundedJSONParser
from accounts.api.views import GenericViewSet
from accounts.models import Library
from accounts.problems import DomainError, NotFoundError
from accounts.roles import Permission
from gallery.api.negotiation import AnyAccepted
from gallery.api.upload import require_length
from gallery.api.uploads import documentation, protocol
from gallery.api.uploads.serializers import (
    DirectUploadRequestSerializer,
    DirectUploadSerializer,
    ResumableUploadSerializer,
)
from processing.models import Upload, UploadWay
from processing.problems import UploadEndedError, UploadIncompleteError, UploadLockedError
from processing.services.uploads import beginning, ending, finishing, receiving

TAGS = ["uploads"]
OVERRIDDEN = frozenset({"PATCH", "DELETE", "HEAD"})


class UploadViewSet(GenericViewSet):
    """Uploads that the caller has made. Nobody else is told that they are there."""

    access = {
        "create": Doing(Permission.UPLOAD_PHOTOS),
        "direct": Doing(Permission.UPLOAD_PHOTOS),
        "retrieve": Seeing(Permission.UPLOAD_PHOTOS),
        "partial_update": Seeing(Permission.UPLOAD_PHOTOS),
        "complete": Seeing(Permission.UPLOAD_PHOTOS),
        "destroy": Seeing(Permission.UPLOAD_PHOTOS),
    }
    serializer_class = ResumableUploadSerializer
    parser_classes = (protocol.UnreadBody,)
    # clients of the protocol say of answers without a body whatever they like
    content_negotiation_class = AnyAccepted
    throttle_scope = "upload"
    # bytes are taken in pieces, each of which stands
    apart = frozenset({"create", "direct", "complete"})
    tells_once = frozenset({"direct"})
    said_in_headers = ("Upload-Length", "Upload-Metadata", "Upload-Checksum")
    lookup_value_converter = "uuid"
    pagination_class = None
    filter_backends = ()
    _made: str | None = None

    def get_queryset(self) -> QuerySet[Upload]:
        """Give what the caller has made."""
        return Upload.objects.visible_to(self.request.user)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer a request; one of a client that knows no PATCH is what it says it is."""
        wanted = request.headers.get(protocol.METHOD_OVERRIDE, "").upper()
        if request.method == "POST" and "pk" in kwargs and wanted in OVERRIDDEN:
            request.method = wanted
        return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Let in who may come in, and speaks the protocol where it is spoken."""
        super().initial(request, *args, **kwargs)
        if self.action in {"create", "partial_update", "destroy"} or request.method == "HEAD":
            protocol.require_version(request)

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        """Say on every answer what is spoken here, and that nobody on the way may keep it."""
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer["Tus-Resumable"] = protocol.VERSION
        answer["Cache-Control"] = "no-store"
        if answer.status_code == status.HTTP_412_PRECONDITION_FAILED:
            answer["Tus-Version"] = protocol.VERSION
        if self._made is not None:
            # also where the bytes that came with it were refused: the upload is there
            answer["Location"] = self._made
        # an answer that is given again is no answer of the framework's
        data = getattr(answer, "data", None)
        code = data.get("code") if answer.status_code >= status.HTTP_400_BAD_REQUEST and data else None
        if code:
            # an answer to HEAD has no body to say it in
            answer[protocol.ERROR] = code
        return answer

    def options(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Say what is spoken here."""
        response = super().options(request, *args, **kwargs)
        for name, value in protocol.capabilities().items():
            response[name] = value
        return response

    @documentation.create
    def create(self, request: Request) -> Response:
        """Begin an upload, with the first bytes or all of them if they come along."""
        asked = protocol.creation(request)
        checksum = protocol.checksum(request)
        library = self._library(request, asked.library_id)
        has_body = protocol.body_length(request) > 0
        if has_body:
            protocol.require_media_type(request)
        body = protocol.body(request, missing=asked.length)
        upload = beginning.begin(
            library=library,
            owner=request.user,
            filename=asked.filename,
            length=asked.length,
            metadata=asked.metadata,
        )
        self._made = reverse("upload-detail", [upload.pk], request=request)
        if has_body:
            upload = receiving.receive(upload_id=upload.pk, offset=0, body=body, checksum=checksum)
        headers = {"Location": self._made, **protocol.answer_headers(upload, request=request)}
        return Response(status=status.HTTP_201_CREATED, headers=headers)

    @documentation.retrieve
    def retrieve(self, request: Request, pk: UUID) -> Response:
        """Say how far an upload is; to HEAD in headers. One that was left just before its end is finished first."""
        upload = self._existing(pk)
        if request.method == "HEAD":
            return self._head(upload)
        if upload.has_all_bytes:
            upload = _settled(upload)
        return Response(ResumableUploadSerializer(upload).data)

    def _head(self, upload: Upload) -> Response:
        _require_tus(upload)
        if upload.has_all_bytes:
            upload = finishing.finish(upload_id=upload.pk)
        finishing.raise_refusal(upload)
        headers = {"Upload-Length": str(upload.length), **protocol.answer_headers(upload, request=self.request)}
        if upload.metadata:
            headers["Upload-Metadata"] = upload.metadata
        return Response(status=status.HTTP_200_OK, headers=headers)

    @documentation.partial_update
    def partial_update(self, request: Request, pk: UUID) -> Response:
        """Take the next bytes in; with the last one the file becomes a photo."""
        upload = self._existing(pk)
        _require_tus(upload)
        protocol.require_media_type(request)
        require_length(request)
        offset, checksum = protocol.offset(request), protocol.checksum(request)
        if offset > upload.length:
            raise receiving.wrong_offset(upload)
        body = protocol.body(request, missing=upload.length - offset)
        upload = receiving.receive(upload_id=upload.pk, offset=offset, body=body, checksum=checksum)
        headers = protocol.answer_headers(upload, request=request)
        return Response(status=status.HTTP_204_NO_CONTENT, headers=headers)

    @documentation.destroy
    def destroy(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """End an upload."""
        ending.end(upload_id=self._existing(pk).pk)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @documentation.direct
    @action(detail=False, methods=["post"], parser_classes=[BoundedJSONParser])
    def direct(self, request: Request) -> Response:
        """Give an address of the bucket to which a client sends one file."""
        given = DirectUploadRequestSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        values = given.validated_data
        library = self._library(request, values["library"])
        upload, post = beginning.begin_direct(
            library=library, owner=request.user, filename=values["filename"], length=values["length"]
        )
        self._made = reverse("upload-detail", [upload.pk], request=request)
        told = {
            "id": upload.pk,
            "url": post.url,
            "fields": post.fields,
            "expires_at": upload.created_at + timedelta(seconds=settings.UPLOAD_DIRECT_SECONDS),
        }
        headers = {"Location": self._made}
        return Response(DirectUploadSerializer(told).data, status=status.HTTP_201_CREATED, headers=headers)

    @documentation.complete
    @action(detail=True, methods=["post"], parser_classes=[BoundedJSONParser])
    def complete(self, request: Request, pk: UUID) -> Response:
        """Take in what a client has sent to the bucket."""
        upload = finishing.finish(upload_id=self._existing(pk).pk)
        response = Response(ResumableUploadSerializer(upload).data)
        response["Content-Location"] = reverse("photo-detail", [upload.photo_id], request=request)
        return response

    def _library(self, request: Request, pk: UUID) -> Library:
        """Give the library of an upload; 404 where the caller does not see it, 403 where they may not upload there."""
        # who may upload need not be allowed to look, as a camera's key is not
        known = Library.objects.visible_to(request.user) | Library.objects.permitting(
            request.user, Permission.UPLOAD_PHOTOS
        )
        library = get_object_or_404(known, pk=pk)
        self.check_object_permissions(request, library)
        return library

    def _existing(self, pk: UUID) -> Upload:
        """Give an upload of the caller's. Raises UploadEndedError where it is over."""
        upload = self.get_object()
        if Upload.objects.abandoned().filter(pk=pk).exists():
            raise UploadEndedError("The upload was ended, or has expired. Begin another one.")
        return upload


def _require_tus(upload: Upload) -> None:
    if upload.way != UploadWay.TUS:
        raise NotFoundError("This file goes straight to the bucket.")


def _settled(upload: Upload) -> Upload:
    """Finish an upload that was left just before its end, and give it as it is: also refused, or in other hands."""
    try:
        return finishing.finish(upload_id=upload.pk)
    except (UploadLockedError, UploadIncompleteError):
        return ending.existing(upload.pk)
    except DomainError:
        found = ending.existing(upload.pk)
        if not finishing.is_over(found):
            raise
        return found
