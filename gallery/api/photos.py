"""Photos: upload, lists, and all that is known of one."""

from uuid import UUID

from django.db.models import Exists, OuterRef, Prefetch, QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from accounts.api.access import Doing, Seeing
from accounts.api.problems import problems
from accounts.api.promises.conditions import ConditionalMixin
from accounts.api.views import GenericViewSet
from accounts.models import Library, User
from accounts.problems import ConflictError
from accounts.roles import Permission
from gallery import viewing
from gallery.api.photo_edits import PhotoEditsMixin
from gallery.api.photo_filter import PhotoFilter, wants_trash
from gallery.api.photo_order import PhotoPages
from gallery.api.photo_overviews import OverviewsMixin
from gallery.api.photo_ranking import TEXT_PARAMETERS, TextSearchMixin
from gallery.api.photo_trash import TrashMixin
from gallery.api.serializers.photos import (
    PhotoDetailSerializer,
    PhotoSerializer,
    ReceiptSerializer,
    RetriedSerializer,
    TrashedPhotoSerializer,
    UploadSerializer,
)
from gallery.api.serializers.ranking import RankedPhotoSerializer
from gallery.api.upload import StreamedUploadMixin, require_length
from gallery.stage_reports import stage_reports
from photos.models import Face, Favourite, Photo, Rendition, Tag
from photos.models.photo import not_hidden_from
from processing import ingest
from processing.models import StageRun
from processing.services import dead_letters
from processing.states import with_state

TAGS = ["photos"]
TAKEN_IN = PolymorphicProxySerializer(
    "PhotoTakenIn", serializers=[PhotoDetailSerializer, ReceiptSerializer], resource_type_field_name=None
)

LISTED = PolymorphicProxySerializer(
    "ListedPhoto",
    serializers=[PhotoSerializer, TrashedPhotoSerializer, RankedPhotoSerializer],
    resource_type_field_name=None,
    many=True,
)


def described(photos: QuerySet[Photo], *, user: User) -> QuerySet[Photo]:
    """Add to photos what every list says of them."""
    own = Favourite.objects.filter(photo=OuterRef("pk"), user=user.pk)
    return with_state(photos).annotate(is_favourite=Exists(own))


def listed(photos: QuerySet[Photo], *, user: User) -> QuerySet[Photo]:
    """Add to photos what a list shows of those that can be looked at."""
    renditions = Rendition.objects.order_by("-width", "kind")
    return described(photos, user=user).prefetch_related(Prefetch("renditions", renditions))


def detailed(photos: QuerySet[Photo], *, user: User) -> QuerySet[Photo]:
    """Add to photos all that is known of them and that `user` may see."""
    faces = Face.objects.visible_to(user).kept().select_related("person").order_by("left", "pk")
    tags = Tag.objects.filter(photo_tags__is_taken_off=False).order_by("key")
    return (
        listed(photos, user=user)
        .select_related("metadata")
        .prefetch_related(
            Prefetch("faces", faces, to_attr="shown_faces"), Prefetch("tags", tags, to_attr="shown_tags"), "stage_runs"
        )
    )


@extend_schema_view(
    list=extend_schema(
        summary="List and search photos, newest upload first",
        description="Filters combine. With `trashed=true` those in the trash that you may bring back, each with "
        "`trashed_at` and `purged_after`. They have no `renditions`: images and original of a photo in the trash are "
        "404 until it is restored. Until then there is its `thumbhash` to draw.\n\nWith `text` a ranked list of those "
        "that show what it says, by the image model in use: no pages, each with its `distance`. Codes: "
        "`model_not_installed` (409: no image model is in use), `text_search_unavailable` (503: no worker has read the "
        "words in time).",
        tags=TAGS,
        parameters=TEXT_PARAMETERS,
        responses={200: LISTED, **problems(400, 409, 503)},
    ),
)
class PhotoViewSet(
    StreamedUploadMixin,
    PhotoEditsMixin,
    OverviewsMixin,
    TrashMixin,
    ConditionalMixin,
    TextSearchMixin,
    ListModelMixin,
    GenericViewSet,
):
    """Photos that the caller may see."""

    access = {
        "list": Seeing(Permission.VIEW_PHOTOS),
        "create": Doing(Permission.UPLOAD_PHOTOS),
        "retrieve": Seeing(Permission.VIEW_PHOTOS),
        "retry": Doing(Permission.RETRY_PROCESSING),
        **TrashMixin.access,
        **OverviewsMixin.access,
        **PhotoEditsMixin.access,
    }
    # deleting takes no condition: what lies in the trash can be deleted too, and has no ETag
    changes = frozenset({"partial_update"})
    # a large file takes long to be stored; and the same bytes are the same photo
    apart = frozenset({"create"})
    serializer_class = PhotoSerializer
    filterset_class = PhotoFilter
    pagination_class = PhotoPages
    lookup_value_converter = "uuid"

    def get_parsers(self) -> list[BaseParser]:
        """Take a form where a file comes, JSON for everything else."""
        # asked before the action is known, and by the schema's maker before there is a request
        method = self.request.method.lower() if self.request else ""
        is_upload = self.action_map.get(method) == "create"
        return [MultiPartParser()] if is_upload else super().get_parsers()

    @property
    def throttle_scope(self) -> str | None:
        """Uploads have a rate of their own."""
        return "upload" if self.action == "create" else None

    def get_queryset(self) -> QuerySet[Photo]:
        """Give what the caller may see; of the trash, what they may bring back."""
        user = self.request.user
        return Photo.objects.in_trash_of(user) if self._is_of_trash else Photo.objects.visible_to(user)

    def paginate_queryset(self, queryset: QuerySet[Photo]) -> list[Photo]:
        """Give a page, with what the list says of each photo.

        What is said is read of the photos of the page alone: the search for them carries ids and keys.
        """
        ids = [photo.pk for photo in super().paginate_queryset(queryset)]
        said = self.said_of_page(Photo.objects.all()).in_bulk(ids)
        # not one that was deleted for good in between
        return [said[pk] for pk in ids if pk in said]

    def said_of_page(self, photos: QuerySet[Photo]) -> QuerySet[Photo]:
        """Add to photos what a list says of each, as far as it was asked for."""
        is_bare = self._is_of_trash or not self.computes("renditions")
        return (described if is_bare else listed)(photos, user=self.request.user)

    def get_serializer_class(self) -> type[PhotoSerializer]:
        """Say of the trash what is said of it."""
        return TrashedPhotoSerializer if self._is_of_trash else super().get_serializer_class()

    @property
    def _is_of_trash(self) -> bool:
        return not self.detail and self.action != "create" and wants_trash(self.request)

    @extend_schema(
        summary="Upload a photo",
        description="The same bytes again in the same library give the photo that is there, with 200. A refused file "
        "leaves nothing behind. Whoever may upload and not look around, as a camera's key with `photos.upload` alone, "
        "is told no more of the photo than id, library, hash, size and state; so is who sends the bytes of one that is "
        "hidden from them. Codes: `unsupported_format`, "
        "`empty_file`, `damaged`, `incomplete_upload`, `too_many_files`, `too_large`, `too_many_pixels`, "
        "`length_required`, `quota_exceeded` (with `of`, `used` and `limit` in bytes).",
        tags=TAGS,
        request={"multipart/form-data": UploadSerializer},
        responses={
            201: TAKEN_IN,
            200: TAKEN_IN,
            **problems(400, 403, 404, 409, 411, 413, 415, 422),
        },
    )
    def create(self, request: Request) -> Response:
        """Take a file in; its processing begins at once."""
        require_length(request)
        given = UploadSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        # who may upload need not be allowed to look, as a camera's key is not
        known = Library.objects.visible_to(request.user) | Library.objects.permitting(
            request.user, Permission.UPLOAD_PHOTOS
        )
        library = get_object_or_404(known, pk=given.validated_data["library"])
        self.check_object_permissions(request, library)
        received = given.validated_data["file"]
        taken = ingest.take_in(
            library=library,
            file=received.file,
            filename=received.name,
            uploader=request.user,
            digest=received.digest,
        )
        try:
            # whoever trashed it meanwhile makes the upload no failure
            response = self._taken_in(taken.photo.pk, library=library)
        except Http404 as error:
            raise ConflictError("Somebody deleted this photo for good while it was taken in. Send it again.") from error
        if taken.is_new:
            response.status_code = status.HTTP_201_CREATED
            response["Location"] = reverse("photo-detail", [taken.photo.pk], request=request)
        return response

    @extend_schema(
        summary="Read all that is known of a photo",
        description="A person's first look within an hour counts as a view of it (`order=-views`).",
        tags=TAGS,
        responses={200: PhotoDetailSerializer, **problems(404)},
    )
    def retrieve(self, request: Request, pk: UUID) -> Response:
        """Give metadata, renditions, faces and stages."""
        answer = self._detail(pk)
        viewing.note(user=request.user, photo_id=pk)
        return answer

    @extend_schema(
        summary="Retry the dead stage runs of a photo",
        tags=TAGS,
        request=None,
        responses={200: RetriedSerializer, **problems(403, 404)},
    )
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Let dead runs start over with all their attempts."""
        photo = self.get_object()
        retried = dead_letters.retry(runs=StageRun.objects.filter(photo=photo), by=request.user)
        return Response(RetriedSerializer({"retried": retried}).data)

    def _taken_in(self, pk: UUID, *, library: Library) -> Response:
        photos, user = Photo.objects.filter(library=library), self.request.user
        # of what was hidden nothing is told to who may send the same bytes, and not look at it
        seen = photos.filter(not_hidden_from(user), library__in=Library.objects.visible_to(user))
        if seen.filter(pk=pk).exists():
            return self._detail(pk, among=photos)
        photo = get_object_or_404(with_state(photos), pk=pk)
        return Response(ReceiptSerializer(photo).data)

    def _detail(self, pk: UUID, *, among: QuerySet[Photo] | None = None) -> Response:
        user = self.request.user
        photos = Photo.objects.visible_to(user) if among is None else among
        photo = get_object_or_404(detailed(photos, user=user), pk=pk)
        photo.stages = stage_reports(photo, user=user)
        return Response(PhotoDetailSerializer(photo, context=self.get_serializer_context()).data)
