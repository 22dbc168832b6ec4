"""Regrouping a library by another threshold or model: looked at first, then applied."""

from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.access import Doing, Seeing
from accounts.api.problems import problems
from accounts.api.views import GenericViewSet
from accounts.models import Library
from accounts.problems import NotFoundError
from accounts.roles import Permission
from gallery.api.serializers.regrouping import RegroupingRequestSerializer, RegroupingSerializer
from photos.models import Person, Regrouping
from processing.models import RunState
from processing.services import regrouping as regroupings

TAGS = ["people"]
MOVES_SHOWN = 100
DECIDING = Doing(Permission.EDIT_PEOPLE, seeing=Permission.VIEW_PEOPLE)


class LibraryRegroupingViewSet(GenericViewSet):
    """The regrouping of a library in which the caller may see people."""

    access = {"regrouping": Seeing(Permission.VIEW_PEOPLE), "ask": DECIDING, "apply": DECIDING}
    serializer_class = RegroupingSerializer
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Library]:
        """Give what the caller may see."""
        user = self.request.user
        return Library.objects.visible_to(user).permitting(user, Permission.VIEW_PEOPLE).filter(face_analysis=True)

    @extend_schema(
        summary="Read what regrouping a library would change",
        description="What was asked for last. 404 where nobody has asked.",
        tags=TAGS,
        responses={200: RegroupingSerializer, **problems(404)},
    )
    @action(detail=True)
    def regrouping(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Give the diff, or how far it is."""
        return Response(self._shown(self._asked(self.get_object())))

    @extend_schema(
        summary="Ask what regrouping a library would change",
        description="By another threshold, or by a model whose vectors were backfilled; a worker computes it, and "
        "nothing is changed. It takes the place of an earlier one. Decisions about people hold under every rule. Where "
        "nothing is grouped, 409 says why (`face_analysis_off`, `no_model_in_use`, `person_being_forgotten`).",
        tags=TAGS,
        request=RegroupingRequestSerializer,
        responses={202: RegroupingSerializer, **problems(400, 403, 404, 409)},
    )
    @regrouping.mapping.post
    def ask(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Have it computed."""
        library = self.get_object()
        given = RegroupingRequestSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        asked = regroupings.ask(library=library, by=request.user, **given.validated_data)
        return Response(self._shown(asked), status=status.HTTP_202_ACCEPTED)

    @extend_schema(
        summary="Apply the regrouping of a library",
        description="Exactly what was shown, in one transaction; new faces are grouped within its threshold from then "
        "on. If a face, vector or decision has changed since, 409 `regrouping_outdated`: ask again. One that is not "
        "computed is 409 `regrouping_not_computed`, one that was applied `regrouping_applied`. For a model that is not "
        "in use, 409 `model_not_in_use`: whoever runs the installation puts it to use, for all libraries.",
        tags=TAGS,
        request=None,
        responses={200: RegroupingSerializer, **problems(403, 404, 409)},
    )
    @action(detail=True, methods=["post"], url_path="regrouping/apply")
    def apply(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Apply it."""
        library = self.get_object()
        regroupings.apply(regrouping=self._asked(library), by=request.user)
        return Response(self._shown(self._asked(library)))

    def _asked(self, library: Library) -> Regrouping:
        found = Regrouping.objects.filter(library=library).first()
        if found is None:
            raise NotFoundError("Nobody has asked for a regrouping.")
        return found

    def _shown(self, asked: Regrouping) -> dict[str, object]:
        """Add the state of the run, and the first moves with whoever is there of those they name."""
        run = None if asked.computed_at else regroupings.last_run(asked.library_id)
        asked.state = run.state if run else (RunState.DONE if asked.computed_at else RunState.PENDING)
        asked.refused = asked.report.get("refused", "")
        rows = list(asked.moves.order_by("face")[:MOVES_SHOWN])
        keys = {key for row in rows for key in (row.person_before, row.person_after) if key}
        people = Person.objects.visible_to(self.request.user).in_bulk(keys)
        moves = [
            {
                "face": row.face_id,
                "before": people.get(row.person_before),
                "after": people.get(row.person_after),
                "is_new_person": row.is_new_person,
                "new_person": row.person_after if row.is_new_person else None,
            }
            for row in rows
        ]
        report = asked.report if asked.computed_at and not asked.refused else None
        shown = RegroupingSerializer(_Shown(asked, report, moves), context=self.get_serializer_context())
        return shown.data


class _Shown:
    """A regrouping as it is shown: with its moves as values, and without a report while there is none."""

    def __init__(self, asked: Regrouping, report: dict[str, object] | None, moves: list[dict[str, object]]) -> None:
        self._asked, self.report, self.moves = asked, report, moves

    def __getattr__(self, name: str) -> object:
        return getattr(self._asked, name)
