"""Dead letters: runs that were tried as often as allowed, and what a person does about them."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.access import RUNS_INSTALLATION
from accounts.api.problems import problems
from accounts.api.views import GenericViewSet
from accounts.problems import NotFoundError
from gallery.api.administration import examples
from gallery.api.administration.ledgers import RunsOfBothLedgers
from gallery.api.serializers.dead_letters import (
    AlikeSerializer,
    DeadLetterDetailSerializer,
    DeadLetterFilterSerializer,
    DeadLetterGroupsSerializer,
    DeadLetterListFilterSerializer,
    DeadLetterSerializer,
    DiscardAlikeSerializer,
    DiscardedSerializer,
    DiscardSerializer,
)
from gallery.api.serializers.photos import RetriedSerializer
from processing.dead_letters import find, groups, listing, shown
from processing.models import StageRun
from processing.services import dead_letters

TAGS = ["administration"]


class DeadLetterViewSet(GenericViewSet):
    """Runs of photos and of libraries that are dead, or have been given up."""

    access = dict.fromkeys(
        ("list", "retrieve", "groups", "retry", "discard", "retry_alike", "discard_alike"), RUNS_INSTALLATION
    )
    # a thousand in each transaction
    apart = frozenset({"retry_alike", "discard_alike"})
    # two ledgers, one list: no queryset that a filter of the framework could narrow
    queryset = StageRun.objects.none()
    filter_backends = ()
    serializer_class = DeadLetterSerializer
    lookup_value_converter = "uuid"

    @extend_schema(
        operation_id="admin_dlq_list",
        summary="List dead letters, newest first",
        description="Runs on photos and on libraries in one list, without their tracebacks. For superusers.",
        tags=TAGS,
        parameters=[DeadLetterListFilterSerializer],
        responses={200: DeadLetterSerializer(many=True), **problems(400, 403)},
        examples=[examples.RUN],
    )
    def list(self, request: Request) -> Response:
        """Give a page of dead or discarded runs."""
        given = _valid(DeadLetterListFilterSerializer(data=request.query_params))
        found = listing(
            discarded=given["state"] == "discarded",
            work=given.get("stage", ""),
            error_code=given.get("error_code", ""),
            library_id=given.get("library"),
            fingerprint=given.get("fingerprint", ""),
        )
        runs = RunsOfBothLedgers(*(shown(part).defer("traceback") for part in found))
        page = self.paginate_queryset(runs)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(
        operation_id="admin_dlq_retrieve",
        summary="Read all that is known of a run",
        description="With its traceback, and whatever state it is in now: a run that was retried shows what came of "
        "it. For superusers.",
        tags=TAGS,
        responses={200: DeadLetterDetailSerializer, **problems(403, 404)},
        examples=[examples.DETAIL],
    )
    def retrieve(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Give a run of either ledger."""
        run = find(pk)
        if run is None:
            raise NotFoundError("There is no such run.")
        return Response(DeadLetterDetailSerializer(run).data)

    @extend_schema(
        operation_id="admin_dlq_groups",
        summary="Group dead letters by what they have in common",
        description="By fingerprint, what died last first. For superusers.",
        tags=TAGS,
        parameters=[DeadLetterFilterSerializer],
        responses={200: DeadLetterGroupsSerializer, **problems(400, 403)},
        examples=[examples.GROUPS],
    )
    @action(detail=False, pagination_class=None)
    def groups(self, request: Request) -> Response:
        """Count what failed in the same way."""
        given = _valid(DeadLetterFilterSerializer(data=request.query_params))
        found = listing(
            work=given.get("stage", ""), error_code=given.get("error_code", ""), library_id=given.get("library")
        )
        return Response(DeadLetterGroupsSerializer({"groups": groups(*found)}).data)

    @extend_schema(
        operation_id="admin_dlq_retry",
        summary="Let a dead or discarded run start over",
        description="With all its attempts; what waits for its result, or was skipped for its sake, follows. Codes: "
        "`not_a_dead_letter` for a run in another state, which `state` names; `work_is_open` where the library has an "
        "open run of the same work. For superusers.",
        tags=TAGS,
        request=None,
        responses={200: DeadLetterDetailSerializer, **problems(403, 404, 409)},
        examples=[examples.RETRIED],
    )
    @action(detail=True, methods=["post"], url_path="retry", url_name="retry")
    def retry(self, request: Request, pk: UUID) -> Response:
        """Let one run start over."""
        return Response(DeadLetterDetailSerializer(dead_letters.retry_one(run_id=pk, by=request.user)).data)

    @extend_schema(
        operation_id="admin_dlq_discard",
        summary="Give a dead run up",
        description="It is skipped then, with its error, the reason and who gave it up; what waits for its result is "
        "skipped too. A retry restores it. Codes: `not_a_dead_letter` for a run in another state, which `state` names; "
        "`erasure_is_owed` for an erasure. For superusers.",
        tags=TAGS,
        request=DiscardSerializer,
        responses={200: DeadLetterDetailSerializer, **problems(400, 403, 404, 409)},
        examples=[examples.DISCARDED],
    )
    @action(detail=True, methods=["post"], url_path="discard", url_name="discard")
    def discard(self, request: Request, pk: UUID) -> Response:
        """Give one run up."""
        given = _valid(DiscardSerializer(data=request.data))
        run = dead_letters.discard_one(run_id=pk, by=request.user, reason=given["reason"])
        return Response(DeadLetterDetailSerializer(run).data)

    @extend_schema(
        operation_id="admin_dlq_retry_alike",
        summary="Let the dead runs of one fingerprint start over",
        description="As many as are dead at this moment, which may be none. Large groups are taken a thousand at a "
        "time: after an interruption call it again. For superusers.",
        tags=TAGS,
        request=AlikeSerializer,
        responses={200: RetriedSerializer, **problems(400, 403)},
        examples=[examples.RETRIED_COUNT],
    )
    @action(detail=False, methods=["post"], url_path="retry", url_name="retry-alike", pagination_class=None)
    def retry_alike(self, request: Request) -> Response:
        """Let a group start over."""
        given = _valid(AlikeSerializer(data=request.data))
        return Response(RetriedSerializer({"retried": dead_letters.retry_alike(by=request.user, **given)}).data)

    @extend_schema(
        operation_id="admin_dlq_discard_alike",
        summary="Give up the dead runs of one fingerprint",
        description="As many as are dead at this moment, which may be none; each keeps the reason. For superusers.",
        tags=TAGS,
        request=DiscardAlikeSerializer,
        responses={200: DiscardedSerializer, **problems(400, 403)},
        examples=[examples.DISCARDED_COUNT],
    )
    @action(detail=False, methods=["post"], url_path="discard", url_name="discard-alike", pagination_class=None)
    def discard_alike(self, request: Request) -> Response:
        """Give a group up."""
        given = _valid(DiscardAlikeSerializer(data=request.data))
        return Response(DiscardedSerializer({"discarded": dead_letters.discard_alike(by=request.user, **given)}).data)


def _valid(given: Any) -> dict[str, Any]:
    given.is_valid(raise_exception=True)
    return given.validated_data
