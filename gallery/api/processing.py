"""The pipeline as a whole, as far as the caller may see it."""

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.access import Somewhere
from accounts.api.problems import problems
from accounts.api.views import GenericViewSet
from accounts.models import Library
from accounts.roles import Permission
from gallery.api.serializers.processing import OverviewSerializer
from photos.models import Photo
from processing.overview import overview


class ProcessingViewSet(GenericViewSet):
    """Runs by stage."""

    access = {"summary": Somewhere(Permission.VIEW_PROCESSING)}
    serializer_class = OverviewSerializer
    pagination_class = None
    filter_backends = ()

    @extend_schema(
        summary="Count runs by stage and state",
        description="Of the photos of the libraries in which you hold `processing.view`.",
        tags=["processing"],
        responses={200: OverviewSerializer, **problems(403)},
    )
    @action(detail=False)
    def summary(self, request: Request) -> Response:
        """Say how much work there is, how old it is, and what keeps it from moving."""
        libraries = Library.objects.permitting(request.user, Permission.VIEW_PROCESSING)
        photos = Photo.objects.visible_to(request.user).filter(library__in=libraries)
        return Response(self.get_serializer(overview(photos)).data)
