"""What the API gives of faces. Vectors are never among it."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from gallery.api.links import chip_url
from photos.models import Face, Person


class BoxSerializer(serializers.ModelSerializer):
    """Output: a face's box, in fractions (0 to 1) of the upright image's width and height."""

    class Meta:
        model = Face
        fields = ("left", "top", "right", "bottom")
        read_only_fields = fields


class NamedPersonSerializer(serializers.ModelSerializer):
    """Output: who it is; the name is empty until somebody gave one."""

    class Meta:
        model = Person
        fields = ("id", "name")
        read_only_fields = fields


class FaceSerializer(serializers.ModelSerializer):
    """Output: a face of a photo."""

    box = BoxSerializer(source="*", read_only=True)
    landmarks = serializers.ListField(
        child=serializers.ListField(child=serializers.FloatField(), min_length=2, max_length=2),
        read_only=True,
        help_text="[x, y] of left eye, right eye, nose, left and right corner of the mouth, in fractions like the box.",
    )
    person = NamedPersonSerializer(read_only=True, allow_null=True)
    chip_url = serializers.SerializerMethodField()

    class Meta:
        model = Face
        fields = ("id", "box", "landmarks", "confidence", "quality", "person", "person_decided", "chip_url")
        read_only_fields = fields

    @extend_schema_field(OpenApiTypes.URI)
    def get_chip_url(self, face: Face) -> str:
        """Give the address of the face chip."""
        return chip_url(face.pk, chip_key=face.chip_key, request=self.context.get("request"))
