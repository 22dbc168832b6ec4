"""What the API gives of faces. Vectors are never among it."""

from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.inputs import InputSerializer
from accounts.problems import COMBINATION
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


class ListedFaceSerializer(FaceSerializer):
    """Output: a face with the photo that it is on."""

    class Meta(FaceSerializer.Meta):
        fields = ("id", "photo", *FaceSerializer.Meta.fields[1:])
        read_only_fields = fields
        extra_kwargs = {"photo": {"help_text": "Its key."}}


class DecidedFaceSerializer(ListedFaceSerializer):
    """Output: a face of which something was decided."""

    decisions = serializers.SerializerMethodField(
        help_text="What this call has decided, to be undone; none if nothing."
    )

    class Meta(ListedFaceSerializer.Meta):
        fields = (*ListedFaceSerializer.Meta.fields, "decisions")
        read_only_fields = fields

    def get_decisions(self, _face: Face) -> list[UUID]:
        """Give the keys of what the view has decided."""
        return [decision.pk for decision in self.context["decisions"]]


class NewPersonSerializer(InputSerializer):
    """Input: somebody who is made for a face."""

    name = serializers.CharField(max_length=200, allow_blank=True, help_text="Empty: none.")


class FaceChangeSerializer(InputSerializer):
    """Input: whose a face is: `person`, or `new_person`."""

    person = serializers.UUIDField(required=False, allow_null=True, help_text="The key of a person; null: nobody.")
    new_person = NewPersonSerializer(required=False, help_text="Makes the person in the same call.")

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        """Take one of the two."""
        if len(given) != 1:
            raise serializers.ValidationError("Give either person or new_person.", code=COMBINATION)
        return given


class RejectionSerializer(InputSerializer):
    """Input: who a face is not."""

    person = serializers.UUIDField(
        required=False, help_text="The key of a person; without it the one whose the face is."
    )
