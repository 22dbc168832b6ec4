"""API keys of the person who asks."""

from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from accounts.api.access import IN_PERSON
from accounts.api.fields import BoundedListField
from accounts.api.inputs import InputSerializer
from accounts.api.problems import problems
from accounts.api.promises.fields import SparseFieldsMixin
from accounts.api.views import GenericViewSet
from accounts.models import ApiKey
from accounts.roles import Permission
from accounts.services import api_keys

TAGS = ["keys"]


class ApiKeyInputSerializer(InputSerializer):
    """Input: a key to be made."""

    name = serializers.CharField(max_length=100, help_text="What it is for.")
    scopes = BoundedListField(
        child=serializers.ChoiceField(choices=Permission.choices),
        allow_empty=False,
        min_length=1,
        max_length=len(Permission),
        help_text="What it may do, of what you may do yourself.",
    )
    library = serializers.UUIDField(
        required=False, allow_null=True, default=None, help_text="The only library that it opens; none: all of yours."
    )
    expires_at = serializers.DateTimeField(
        required=False, allow_null=True, default=None, help_text="When it ends; none: when it is revoked."
    )


class ApiKeySerializer(SparseFieldsMixin, serializers.ModelSerializer):
    """Output: a key, without its secret, which is kept nowhere."""

    scopes = serializers.ListField(child=serializers.ChoiceField(choices=Permission.choices), read_only=True)

    class Meta:
        model = ApiKey
        fields: tuple[str, ...] = (
            "id",
            "name",
            "prefix",
            "scopes",
            "library",
            "created_at",
            "expires_at",
            "last_used_at",
            "revoked_at",
        )
        read_only_fields = fields
        extra_kwargs = {
            "prefix": {"help_text": "How the key begins, after `dk_`."},
            "last_used_at": {"help_text": "To the minute."},
        }


class NewApiKeySerializer(ApiKeySerializer):
    """Output: a key that was just made. Wants `text` in its context."""

    key = serializers.SerializerMethodField(help_text="The key itself: shown here, and never again.")

    class Meta(ApiKeySerializer.Meta):
        fields = (*ApiKeySerializer.Meta.fields, "key")
        read_only_fields = fields

    def get_key(self, key: ApiKey) -> str:  # noqa: ARG002 - the framework's signature
        """Give the text that opens."""
        return str(self.context["text"])


@extend_schema_view(
    list=extend_schema(
        summary="List your own API keys, newest first",
        tags=TAGS,
        responses={200: ApiKeySerializer(many=True), **problems(400, 403)},
    ),
    retrieve=extend_schema(
        summary="Read one of your own API keys",
        tags=TAGS,
        responses={200: ApiKeySerializer, **problems(403, 404)},
    ),
)
class ApiKeyViewSet(ListModelMixin, RetrieveModelMixin, GenericViewSet):
    """Keys of the person who asks, those that were revoked too."""

    serializer_class = ApiKeySerializer
    access = {"list": IN_PERSON, "retrieve": IN_PERSON, "create": IN_PERSON, "destroy": IN_PERSON}
    tells_once = frozenset({"create"})
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[ApiKey]:
        """Give the caller's own."""
        return ApiKey.objects.owned_by(self.request.user)

    @extend_schema(
        summary="Make an API key",
        description="For people only. `key` is in this answer and nowhere else. Codes: `too_many_keys`.",
        tags=TAGS,
        request=ApiKeyInputSerializer,
        responses={201: NewApiKeySerializer, **problems(400, 403, 404, 409)},
    )
    def create(self, request: Request) -> Response:
        """Make a key and show it, once."""
        given = ApiKeyInputSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        values = given.validated_data
        made = api_keys.create(
            owner=request.user,
            name=values["name"],
            scopes=values["scopes"],
            library_id=values["library"],
            expires_at=values["expires_at"],
        )
        shown = NewApiKeySerializer(made.key, context={"text": made.text})
        location = reverse("key-detail", [made.key.pk], request=request)
        headers = {"Location": location, "Cache-Control": "no-store"}
        return Response(shown.data, status=status.HTTP_201_CREATED, headers=headers)

    @extend_schema(
        summary="Revoke one of your own API keys",
        description="It opens nothing from then on. Revoking it again changes nothing.",
        tags=TAGS,
        responses={204: None, **problems(403, 404)},
    )
    def destroy(self, request: Request, pk: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """End a key; it stays in the list."""
        key = self.get_object()
        api_keys.revoke(keys=self.get_queryset().filter(pk=key.pk), actor=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)
