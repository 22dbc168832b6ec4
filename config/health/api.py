"""The health page as part of the REST API and its schema."""

from typing import ClassVar

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.access import PUBLIC
from accounts.api.problems import DESCRIPTIONS, MEDIA_TYPE, ProblemSerializer
from accounts.api.views import APIView
from config.health import views
from config.health.findings import Status


class HealthSerializer(serializers.Serializer):
    """The overall status; staff and holders of the internal token also read what was found of each component."""

    status = serializers.ChoiceField(choices=[status.value for status in Status])
    components = serializers.DictField(child=serializers.DictField(), required=False)


class HealthView(APIView):
    """How every component is."""

    # anybody may ask; who may see more is found out without refusing those who may not
    authentication_classes: ClassVar = []
    access: ClassVar = {"get": PUBLIC}
    # probes ask as often as they like, and are told no lie about it
    throttle_classes: ClassVar = []

    @extend_schema(
        summary="Ask how Darkroom is",
        auth=[{}, {"jwtAuth": []}],
        responses={
            200: HealthSerializer,
            503: HealthSerializer,
            (400, MEDIA_TYPE): OpenApiResponse(ProblemSerializer, DESCRIPTIONS[400]),
        },
    )
    def get(self, request: Request) -> Response:
        """Say how every component is: 200 while Darkroom serves, 503 where it does not."""
        said = views.report(request, kind="health")
        return Response(said, status=views.status_code(said), headers=views.NOT_KEPT)
