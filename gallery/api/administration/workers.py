"""Workers: who is there, what each can do and holds."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.access import RUNS_INSTALLATION
from accounts.api.problems import problems
from accounts.api.views import ViewSet
from gallery.api.administration import examples
from gallery.api.administration.dead_letters import TAGS
from gallery.api.serializers.control import WorkersSerializer
from processing.services import stage_control


class WorkerViewSet(ViewSet):
    """Workers that have said they are there."""

    access = {"list": RUNS_INSTALLATION}

    @extend_schema(
        operation_id="admin_workers",
        summary="Read who works",
        description="The workers of the last day, by name: host, queues, models, what each holds and when it was last "
        "heard of. One that stopped by itself is not among them. For superusers.",
        tags=TAGS,
        responses={200: WorkersSerializer, **problems(403)},
        examples=[examples.WORKERS],
    )
    def list(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Give all workers."""
        return Response(WorkersSerializer({"workers": stage_control.workers()}).data)
