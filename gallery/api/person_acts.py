"""What may be done with a person: names, covers, merging, splitting; each act is a decision that can be undone."""

from collections.abc import Sequence
from uuid import UUID

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from accounts.api.access import Doing, Seeing
from accounts.api.problems import problems
from accounts.problems import NotFoundError
from accounts.roles import Permission
from gallery.api.serializers.decisions import DecisionSerializer
from gallery.api.serializers.people import (
    DecidedPersonSerializer,
    FacesSerializer,
    MergeSerializer,
    PersonChangeSerializer,
    SplitSerializer,
)
from photos.models import Person, PersonDecision
from photos.services import people

TAGS = ["people"]
DECIDING = Doing(Permission.EDIT_PEOPLE, seeing=Permission.VIEW_PEOPLE)
UNDONE = "It is kept as a decision that every grouping obeys, until it is undone (`POST /decisions/{id}/undo`)."


class MergedError(NotFoundError):
    """The person was merged into another one, whose key is `merged_into`."""

    code = "merged"


class PersonActsMixin:
    """Deciding about a person. For a view of people, whose `get_queryset` annotates faces."""

    access = {
        "partial_update": DECIDING,
        "merge": DECIDING,
        "split": DECIDING,
        "confirm": DECIDING,
        "decisions": Seeing(Permission.VIEW_PEOPLE),
    }

    def get_object(self) -> Person:
        """Give the person; raises MergedError where there was one, who is another by now."""
        try:
            return super().get_object()
        except Http404:
            people_once = Person.objects.merged_too(self.request.user)
            once = people_once.filter(pk=self.kwargs["pk"], merged_into__isnull=False).first()
            if once is None:
                raise
            into = str(people.who_is(person_id=once.pk))
            raise MergedError("This person was merged into another one.", merged_into=into) from None

    @extend_schema(
        summary="Name, hide or show a person, or choose their cover",
        description=f"What is decided of a person holds the faces that are theirs at that moment. {UNDONE} A cover "
        "that is not theirs is 409 `not_their_face`.",
        tags=TAGS,
        request=PersonChangeSerializer,
        responses={200: DecidedPersonSerializer, **problems(400, 403, 404, 409)},
    )
    def partial_update(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Change what is said of a person."""
        person = self.get_object()
        given = PersonChangeSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        made = people.change_person(person=person, changes=given.validated_data, by=request.user)
        return self._decided(person.pk, made)

    @extend_schema(
        summary="Merge people into this one",
        description="This person stays, with all their faces, and with the first name there is if it has none. The "
        "others answer 404 `merged` from then on, with `merged_into`. Where a face that is held by one of them was "
        f"said not to be another, 409 `contradicts_decision` names the `decisions` and `faces`. {UNDONE}",
        tags=TAGS,
        request=MergeSerializer,
        responses={200: DecidedPersonSerializer, **problems(400, 403, 404, 409)},
    )
    @action(detail=True, methods=["post"])
    def merge(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Make several people one."""
        person = self.get_object()
        given = MergeSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        wanted = list(dict.fromkeys(given.validated_data["people"]))
        there = Person.objects.visible_to(request.user).filter(library=person.library_id)
        found = {one.pk: one for one in there.filter(pk__in=wanted)}
        if len(found) < len(wanted):
            raise NotFoundError("One of them is not there, or you may not see it.")
        made = people.merge_people(into=person, people=[found[one] for one in wanted], by=request.user)
        return self._decided(person.pk, [made])

    @extend_schema(
        summary="Make some faces of a person somebody else",
        description="Gives the new person, to whom these faces are pinned; the others are held by this one. Faces that "
        f"are not this person's are 409 `not_their_face`, with `faces`. {UNDONE}",
        tags=TAGS,
        request=SplitSerializer,
        responses={201: DecidedPersonSerializer, **problems(400, 403, 404, 409)},
    )
    @action(detail=True, methods=["post"])
    def split(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Make two people of one."""
        person = self.get_object()
        given = SplitSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        made = people.split_person(
            person=person,
            face_ids=given.validated_data["faces"],
            name=given.validated_data.get("name", ""),
            by=request.user,
        )
        answer = self._decided(made.details["made"], [made], status=status.HTTP_201_CREATED)
        answer["Location"] = reverse("person-detail", [made.details["made"]], request=request)
        return answer

    @extend_schema(
        summary="Confirm faces of a person",
        description="They are pinned to the person. Faces that are not this person's are 409 `not_their_face`, with "
        f"`faces`. {UNDONE}",
        tags=TAGS,
        request=FacesSerializer,
        responses={200: DecidedPersonSerializer, **problems(400, 403, 404, 409)},
    )
    @action(detail=True, methods=["post"])
    def confirm(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Say that it is who it was taken for."""
        person = self.get_object()
        given = FacesSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        made = people.confirm_faces(person=person, face_ids=given.validated_data.get("faces"), by=request.user)
        return self._decided(person.pk, [made] if made else [])

    @extend_schema(
        summary="List what was decided about a person, newest first",
        description="Also what gave them a face, or took one away.",
        tags=TAGS,
        responses={(200, "application/json"): DecisionSerializer(many=True), **problems(400, 404)},
    )
    @action(detail=True, filterset_class=None, serializer_class=DecisionSerializer)
    def decisions(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Give a page of decisions."""
        person = self.get_object()
        shown = PersonDecision.objects.visible_to(request.user).about(person).with_face_count()
        page = self.paginate_queryset(shown.select_related("person"))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def _decided(self, pk: UUID, made: Sequence[PersonDecision], *, status: int = status.HTTP_200_OK) -> Response:
        person = self.get_queryset().get(pk=pk)
        context = {**self.get_serializer_context(), "decisions": made}
        return Response(DecidedPersonSerializer(person, context=context).data, status=status)
