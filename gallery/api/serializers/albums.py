"""What the API takes and gives about albums and tags."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.fields import BoundedListField
from accounts.api.inputs import InputSerializer
from gallery import photo_selection
from gallery.models import Album
from photos.models import Tag
from photos.services.tags import NAME_LENGTH

PHOTOS_AT_ONCE = 1000


class AlbumSerializer(serializers.ModelSerializer):
    """Output: an album. Wants `described` of its QuerySet."""

    photo_count = serializers.IntegerField(
        read_only=True, allow_null=True, help_text="Those that you may see; null of a smart album in a list."
    )
    cover = serializers.UUIDField(
        source="shown_cover", read_only=True, allow_null=True, help_text="The chosen photo, else the first."
    )

    class Meta:
        model = Album
        fields = (
            "id",
            "library",
            "kind",
            "title",
            "description",
            "filter",
            "cover",
            "photo_count",
            "created_by",
            "created_at",
        )
        read_only_fields = fields


@extend_schema_field(OpenApiTypes.OBJECT)
class FilterField(serializers.DictField):
    """Input: a filter of photos, checked as the list checks it."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Read it; raises ValidationError, which names what is wrong."""
        return photo_selection.checked(super().to_internal_value(data), request=self.context["request"])


class AlbumChangesSerializer(InputSerializer):
    """Input: what is changed of an album."""

    title = serializers.CharField(max_length=200, required=False)
    description = serializers.CharField(max_length=5000, allow_blank=True, required=False)
    cover = serializers.UUIDField(
        allow_null=True, required=False, help_text="A photo of the library; null: the first one of the album."
    )
    filter = FilterField(
        required=False, help_text="As the parameters of `GET photos`, without `album` and `trashed`. It makes it smart."
    )


class AlbumCreationSerializer(AlbumChangesSerializer):
    """Input: an album."""

    library = serializers.UUIDField()
    title = serializers.CharField(max_length=200)


class AlbumPhotosSerializer(InputSerializer):
    """Input: photos."""

    photos = BoundedListField(child=serializers.UUIDField(), min_length=1, max_length=PHOTOS_AT_ONCE)


class AlbumMoveSerializer(AlbumPhotosSerializer):
    """Input: where photos go."""

    before = serializers.UUIDField(allow_null=True, help_text="A photo of the album; null: to the end.")


class AlbumChangedSerializer(serializers.Serializer):
    """Output: what came of it."""

    changed = serializers.IntegerField(help_text="Photos that were not so before.")


class TagSerializer(serializers.ModelSerializer):
    """Output: a tag. Wants `with_photo_count` of its QuerySet."""

    photo_count = serializers.IntegerField(read_only=True, help_text="Photos with it that you may see.")

    class Meta:
        model = Tag
        fields = ("id", "library", "name", "created_at", "photo_count")
        read_only_fields = fields


class TagNameSerializer(InputSerializer):
    """Input: a tag's name."""

    name = serializers.CharField(max_length=NAME_LENGTH)


class TagCreationSerializer(TagNameSerializer):
    """Input: a tag."""

    library = serializers.UUIDField()


class TagMergeSerializer(InputSerializer):
    """Input: the tags that become one with this one."""

    tags = BoundedListField(child=serializers.UUIDField(), min_length=1, max_length=100)
