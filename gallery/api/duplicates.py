"""Near-duplicates of a library: groups, which photo to keep, and decisions that photos are none."""

from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from django.db.models import F, Prefetch, QuerySet
from django.http import Http404
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from accounts.api.access import Doing, Seeing
from accounts.api.problems import problems
from accounts.api.views import GenericViewSet
from accounts.models import User
from accounts.roles import Permission
from gallery.api.photos import listed
from gallery.api.serializers.duplicates import (
    DecisionSerializer,
    DuplicateDecisionSerializer,
    DuplicateGroupSerializer,
)
from photos.models import DecidedPhoto, DuplicateDecision, DuplicateGroup, DuplicateMember, Photo
from photos.search.duplicates import suggest
from photos.services import duplicates
from processing.models_in_use import model_in_use

TAGS = ["photos"]
IMAGE_EMBEDDING = "image_embedding"


class DuplicateFilter(filters.FilterSet):
    """Narrows groups."""

    library = filters.UUIDFilter(field_name="library_id", help_text="Of this library.")

    class Meta:
        model = DuplicateGroup
        fields: ClassVar[list[str]] = []


class DecisionFilter(DuplicateFilter):
    """Narrows decisions."""

    class Meta(DuplicateFilter.Meta):
        model = DuplicateDecision


def with_photos(groups: Sequence[DuplicateGroup]) -> Sequence[DuplicateGroup]:
    """Give groups, which have their `shown_members`, each with its `suggestion` and its `photos`, that one first."""
    for group in groups:
        photos = [member.photo for member in group.shown_members]
        group.suggestion = suggest(photos)
        kept = group.suggestion.photo
        for photo in photos:
            photo.distance = (photo.hash ^ kept.hash).bit_count()
        group.photos = sorted(photos, key=lambda photo: (photo is not kept, photo.distance, photo.pk))
    return groups


def _shown(groups: QuerySet[DuplicateGroup], *, user: User) -> QuerySet[DuplicateGroup]:
    seen = Photo.objects.visible_to(user)
    photos = listed(seen, user=user).annotate(hash=F("fingerprint__hash"))
    members = DuplicateMember.objects.filter(photo__in=seen).order_by("photo_id")
    return groups.prefetch_related(
        Prefetch("members", members.prefetch_related(Prefetch("photo", photos)), to_attr="shown_members")
    )


@extend_schema_view(
    list=extend_schema(
        summary="List groups of near-duplicates, the newest first",
        description="Photos of one library that differ in size, encoding or a little retouching: each is near to every "
        "other one of its group. They are looked for in the background, some time after a photo was processed. What "
        "lies in the trash is left out. Which one to keep is a suggestion; the others go by `DELETE photos/{id}`.",
        tags=TAGS,
        responses={200: DuplicateGroupSerializer(many=True), **problems(400)},
    ),
)
class DuplicateViewSet(ListModelMixin, GenericViewSet):
    """Groups of which the caller may see two photos or more."""

    access = {"list": Seeing(Permission.VIEW_PHOTOS)}
    serializer_class = DuplicateGroupSerializer
    filterset_class = DuplicateFilter

    def get_queryset(self) -> QuerySet[DuplicateGroup]:
        """Give what the caller may see."""
        return _shown(DuplicateGroup.objects.visible_to(self.request.user), user=self.request.user)

    def paginate_queryset(self, queryset: QuerySet[DuplicateGroup]) -> Sequence[DuplicateGroup]:
        """Give a page of groups, with what is said of them."""
        # one whose photos went between two queries is left out
        page = [group for group in super().paginate_queryset(queryset) if len(group.shown_members) > 1]
        return with_photos(page)


@extend_schema_view(
    list=extend_schema(
        summary="List decisions that photos are no duplicates, the newest first",
        tags=TAGS,
        responses={200: DuplicateDecisionSerializer(many=True), **problems(400)},
    ),
    retrieve=extend_schema(
        summary="Read about a decision that photos are no duplicates",
        tags=TAGS,
        responses={200: DuplicateDecisionSerializer, **problems(404)},
    ),
)
class DuplicateDecisionViewSet(ListModelMixin, RetrieveModelMixin, GenericViewSet):
    """Decisions that photos are no duplicates."""

    access = {
        "list": Seeing(Permission.VIEW_PHOTOS),
        "retrieve": Seeing(Permission.VIEW_PHOTOS),
        "create": Doing(Permission.EDIT_PHOTOS),
        "destroy": Doing(Permission.EDIT_PHOTOS),
    }
    serializer_class = DuplicateDecisionSerializer
    filterset_class = DecisionFilter
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[DuplicateDecision]:
        """Give what the caller may see, with those of the photos that they may see."""
        seen = Photo.objects.visible_to(self.request.user).order_by()
        photos = Prefetch("photos", DecidedPhoto.objects.filter(photo__in=seen))
        return DuplicateDecision.objects.visible_to(self.request.user).prefetch_related(photos)

    @extend_schema(
        summary="Decide that photos are no duplicates",
        description="Of each other, however alike they are: none of them is in a group with another one from then on, "
        "also when they are processed anew, until the decision is taken back.",
        tags=TAGS,
        request=DecisionSerializer,
        responses={201: DuplicateDecisionSerializer, **problems(400, 403, 404)},
    )
    def create(self, request: Request) -> Response:
        """Note it, and take their groups apart."""
        given = DecisionSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        ids = set(given.validated_data["photos"])
        photos = list(Photo.objects.visible_to(request.user).filter(pk__in=ids).select_related("library"))
        if len(photos) < len(ids):
            raise Http404
        for photo in photos:
            self.check_object_permissions(request, photo)
        decision = duplicates.decide(photos=photos, by=request.user, model=_model())
        answer = self.get_serializer(self.get_queryset().get(pk=decision.pk)).data
        location = reverse("duplicate-decision-detail", [decision.pk], request=request)
        return Response(answer, status=status.HTTP_201_CREATED, headers={"Location": location})

    @extend_schema(
        summary="Take back a decision that photos are no duplicates",
        tags=TAGS,
        responses={204: None, **problems(403, 404)},
    )
    def destroy(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Forget it, and group its photos anew."""
        duplicates.take_back(decision=self.get_object(), model=_model())
        return Response(status=status.HTTP_204_NO_CONTENT)


def _model() -> str | None:
    chosen = model_in_use(IMAGE_EMBEDDING)
    return chosen.name if chosen else None
