"""What the API takes and gives about people."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from gallery.api.links import chip_url
from photos.models import Person


class CoverSerializer(serializers.Serializer):
    """Output: the face that stands for a person."""

    id = serializers.UUIDField()
    chip_url = serializers.SerializerMethodField()

    @extend_schema_field(OpenApiTypes.URI)
    def get_chip_url(self, cover: dict[str, Any]) -> str:
        """Give the address of the face chip."""
        return chip_url(cover["id"], chip_key=cover["chip_key"], request=self.context.get("request"))


class PersonSerializer(serializers.ModelSerializer):
    """Output: a person. Wants `with_faces` of its QuerySet."""

    face_count = serializers.IntegerField(read_only=True)
    photo_count = serializers.IntegerField(read_only=True)
    cover = CoverSerializer(read_only=True, allow_null=True)

    class Meta:
        model = Person
        fields = ("id", "library", "name", "created_at", "face_count", "photo_count", "cover")
        read_only_fields = fields
        extra_kwargs = {"library": {"help_text": "Its key."}}


class RenameSerializer(serializers.Serializer):
    """Input: a person's name."""

    name = serializers.CharField(
        max_length=200, allow_blank=True, required=False, help_text="Empty takes the name away."
    )
