"""Photos that look like one photo."""

from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.access import Seeing
from accounts.api.problems import problems
from accounts.api.views import GenericViewSet
from accounts.roles import Permission
from gallery.api.photos import listed
from gallery.api.ranking import in_order, limit_parameter, read_limit
from gallery.api.serializers.ranking import SimilarPhotosSerializer
from photos.models import Photo
from photos.problems import NotAnalysedYetError
from photos.search.similar import Ranked, by_embedding, by_hash
from processing.models_in_use import model_in_use, require_model

MOST = 200
IMAGE_EMBEDDING = "image_embedding"
HASH, EMBEDDING = "hash", "embedding"


class SimilarPhotoViewSet(GenericViewSet):
    """Photos that the caller may see, as what others are compared with."""

    access = {"similar": Seeing(Permission.VIEW_PHOTOS)}
    lookup_value_converter = "uuid"
    serializer_class = SimilarPhotosSerializer
    pagination_class = None
    filter_backends = ()

    def get_queryset(self) -> QuerySet[Photo]:
        """Give what the caller may see."""
        return Photo.objects.visible_to(self.request.user)

    @extend_schema(
        summary="List the photos that look like a photo, nearest first",
        description="Of the same library; a bounded list, without pages. By `hash`: copies that were scaled, encoded "
        "anew or a little retouched. By `embedding`: photos that show the like, by the image model in use. Where `by` "
        "is not given it is `embedding` if the photo has been embedded by that model, else `hash`. Codes: "
        "`model_not_installed` (409: no image model is in use), `not_analysed_yet` (409: the photo has no hash or "
        "vector yet).",
        tags=["photos"],
        parameters=[
            OpenApiParameter("by", OpenApiTypes.STR, enum=[HASH, EMBEDDING], description="What is compared."),
            limit_parameter(MOST),
        ],
        responses={200: SimilarPhotosSerializer, **problems(400, 404, 409)},
    )
    @action(detail=True)
    def similar(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Give them."""
        photo, limit = self.get_object(), read_limit(request, most=MOST)
        by = request.query_params.get("by")
        if by not in (None, HASH, EMBEDDING):
            raise ValidationError({"by": f"`{HASH}` or `{EMBEDDING}`."})
        by, model, ranked = self._ranked(photo, by=by, limit=limit)
        if ranked is None:
            raise NotAnalysedYetError("The photo has not been analysed as far as that yet. Try again later.")
        photos = in_order(listed(self.get_queryset(), user=request.user), ranked)
        return Response(self.get_serializer({"by": by, "model": model, "results": photos}).data)

    def _ranked(self, photo: Photo, *, by: str | None, limit: int) -> tuple[str, str | None, Ranked | None]:
        among = self.get_queryset()
        if by != HASH:
            chosen = require_model(IMAGE_EMBEDDING) if by == EMBEDDING else model_in_use(IMAGE_EMBEDDING)
            ranked = chosen and by_embedding(photo, among, model=chosen.name, limit=limit)
            if ranked is not None or by == EMBEDDING:
                return EMBEDDING, chosen.name, ranked
        return HASH, None, by_hash(photo, among, limit=limit)
