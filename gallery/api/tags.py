"""Tags: the words that photos of a library are sorted by."""

from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from accounts.api.access import Doing, Seeing
from accounts.api.problems import problems
from accounts.api.promises.conditions import ConditionalMixin
from accounts.api.views import GenericViewSet
from accounts.models import Library
from accounts.problems import NotFoundError
from accounts.roles import Permission
from gallery.api.filters import TagFilter
from gallery.api.serializers.albums import TagCreationSerializer, TagMergeSerializer, TagNameSerializer, TagSerializer
from photos.models import Tag
from photos.services import tags

TAGS = ["tags"]


@extend_schema_view(
    list=extend_schema(
        summary="List tags, newest first", tags=TAGS, responses={200: TagSerializer(many=True), **problems(400)}
    ),
    retrieve=extend_schema(summary="Read about a tag", tags=TAGS, responses={200: TagSerializer, **problems(404)}),
)
class TagViewSet(ConditionalMixin, ListModelMixin, RetrieveModelMixin, GenericViewSet):
    """Tags of the libraries that the caller may see."""

    access = {
        **dict.fromkeys(("list", "retrieve"), Seeing(Permission.VIEW_PHOTOS)),
        **dict.fromkeys(("create", "partial_update", "destroy", "merge"), Doing(Permission.EDIT_PHOTOS)),
    }
    serializer_class = TagSerializer
    filterset_class = TagFilter
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Tag]:
        """Give what the caller may see."""
        return Tag.objects.visible_to(self.request.user).with_photo_count(self.request.user)

    @extend_schema(
        summary="Make a tag",
        description="Photos get tags by `PATCH photos/{id}` and `POST edits`, which make those that are missing.",
        tags=TAGS,
        request=TagCreationSerializer,
        responses={201: TagSerializer, **problems(400, 403, 404, 409)},
    )
    def create(self, request: Request) -> Response:
        """Make it."""
        given = TagCreationSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        library = get_object_or_404(Library.objects.visible_to(request.user), pk=given.validated_data["library"])
        self.check_object_permissions(request, library)
        tag = tags.make(library_id=library.pk, name=given.validated_data["name"])
        location = reverse("tag-detail", [tag.pk], request=request)
        return Response(self._shown(tag.pk), status=status.HTTP_201_CREATED, headers={"Location": location})

    @extend_schema(
        summary="Rename a tag",
        description="Files that say the old name mean this tag from then on. A name that another tag has is 409, "
        "`tag_exists`: merge them.",
        tags=TAGS,
        request=TagNameSerializer,
        responses={200: TagSerializer, **problems(400, 403, 404, 409)},
    )
    def partial_update(self, request: Request, pk: UUID) -> Response:
        """Rename it."""
        tag = self.get_object()
        given = TagNameSerializer(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        if given.validated_data:
            tags.rename(tag=tag, **given.validated_data)
        return Response(self._shown(pk))

    @extend_schema(
        summary="Delete a tag",
        description="It is taken off all photos; files that say it do not bring it back.",
        tags=TAGS,
        responses={204: None, **problems(403, 404)},
    )
    def destroy(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Delete it."""
        tags.delete(tag=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        summary="Merge tags into one",
        description="Photos with any of them have this one; files that say one of the others mean it from then on.",
        tags=TAGS,
        request=TagMergeSerializer,
        responses={200: TagSerializer, **problems(400, 403, 404, 409)},
    )
    @action(detail=True, methods=["post"])
    def merge(self, request: Request, pk: UUID) -> Response:
        """Merge them."""
        into = self.get_object()
        given = TagMergeSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        wanted = set(given.validated_data["tags"])
        others = list(Tag.objects.visible_to(request.user).filter(pk__in=wanted))
        if len(others) != len(wanted):
            raise NotFoundError("A tag is not there, or you may not see it.")
        tags.merge(tags=others, into=into)
        return Response(self._shown(pk))

    def _shown(self, pk: UUID) -> dict[str, object]:
        return TagSerializer(get_object_or_404(self.get_queryset(), pk=pk)).data
