"""Search by words: photos ranked by what they show."""

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.problems import COMBINATION
from gallery.api.ranking import LIMIT, in_order, limit_parameter, read_limit
from gallery.api.serializers.ranking import RankedPhotoSerializer
from photos.models import ImageEmbedding, Photo
from photos.search.similar import by_vector
from processing.services import searching

TEXT = "text"
MOST = 200
LONGEST = 500

TEXT_PARAMETERS = [
    OpenApiParameter(
        TEXT,
        {"type": "string", "minLength": 1, "maxLength": LONGEST},
        description=f"Words, 1 to {LONGEST} characters, that say what the photos show: `a red car in snow`. Gives "
        "those that are nearest to it, ranked, with their `distance`, in the place of pages: `next` is null.",
    ),
    limit_parameter(MOST),
]


class TextSearchMixin:
    """A list of photos that `text` ranks."""

    def list(self, request: Request, *args: object, **kwargs: object) -> Response:
        """Give a page, or with `text` what is nearest to it among what the other filters keep."""
        if TEXT not in request.query_params:
            if LIMIT in request.query_params:
                raise ValidationError({LIMIT: f"It goes with {TEXT}; a page has a page_size."}, code=COMBINATION)
            return super().list(request, *args, **kwargs)  # type: ignore[misc]
        words, limit = _words(request), read_limit(request, most=MOST)
        photos: QuerySet[Photo] = self.filter_queryset(self.get_queryset())
        asked = searching.vector_of_words(words)
        rows = ImageEmbedding.objects.filter(model=asked.model, photo__in=photos.order_by().values("pk"))
        ranked = by_vector(rows, vector=list(asked.vector), limit=limit)
        shown = RankedPhotoSerializer(
            in_order(self.said_of_page(photos), ranked), many=True, context=self.get_serializer_context()
        )
        return Response({"next": None, "previous": None, "results": shown.data})


def _words(request: Request) -> str:
    """Read the words; raises ValidationError."""
    words = request.query_params[TEXT].strip()
    if not words or len(words) > LONGEST or "\0" in words:
        raise ValidationError({TEXT: f"Words of 1 to {LONGEST} characters."})
    if request.query_params.get("trashed") == "true":
        raise ValidationError({TEXT: "The trash is not searched by words."}, code=COMBINATION)
    return words
