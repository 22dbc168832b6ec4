"""Stages: what each is at, holding one up and letting it go on."""

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.access import RUNS_INSTALLATION
from accounts.api.problems import problems
from accounts.api.views import ViewSet
from gallery.api.administration import examples
from gallery.api.administration.dead_letters import TAGS
from gallery.api.serializers.control import PauseSerializer, StagesSerializer, StageStatusSerializer
from processing.services import stage_control


class StageViewSet(ViewSet):
    """Stages, and kinds of library work, by name."""

    access = dict.fromkeys(("list", "pause", "resume"), RUNS_INSTALLATION)
    lookup_url_kwarg = "name"
    lookup_value_converter = "str"

    @extend_schema(
        operation_id="admin_stages",
        summary="Read what every stage is at",
        description="What waits, runs and failed, the age of what is pending longest, the rate, and whether it is "
        "paused; work on libraries too. For superusers.",
        tags=TAGS,
        responses={200: StagesSerializer, **problems(403)},
        examples=[examples.STAGES],
    )
    def list(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Give all stages."""
        return Response(StagesSerializer({"stages": stage_control.stages()}).data)

    @extend_schema(
        operation_id="admin_stages_pause",
        summary="Pause a stage",
        description="Nothing more of it is claimed, by any worker, until it is resumed; what runs is finished. Pausing "
        "it again says who and why anew. For superusers.",
        tags=TAGS,
        request=PauseSerializer,
        responses={200: StageStatusSerializer, **problems(400, 403, 404)},
        examples=[examples.PAUSED],
    )
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, name: str) -> Response:
        """Hold a stage up."""
        given = PauseSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        stage_control.pause(work=name, by=request.user, reason=given.validated_data["reason"])
        return Response(StageStatusSerializer(stage_control.stage(name)).data)

    @extend_schema(
        operation_id="admin_stages_resume",
        summary="Resume a stage",
        description="Workers are told at once of what is pending. A stage that is not paused stays as it is. For "
        "superusers.",
        tags=TAGS,
        request=None,
        responses={200: StageStatusSerializer, **problems(403, 404)},
        examples=[examples.RESUMED],
    )
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, name: str) -> Response:  # noqa: ARG002 - the framework's signature
        """Let a stage go on."""
        stage_control.resume(work=name)
        return Response(StageStatusSerializer(stage_control.stage(name)).data)
