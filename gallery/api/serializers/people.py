"""What the API takes and gives about people."""

from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.fields import BoundedListField
from accounts.api.inputs import InputSerializer
from accounts.api.promises.fields import SparseFieldsMixin
from gallery.api.links import chip_url
from photos.models import DecisionKind, LinkKind, Person


class CoverSerializer(serializers.Serializer):
    """Output: the face that stands for a person."""

    id = serializers.UUIDField()
    chip_url = serializers.SerializerMethodField()

    @extend_schema_field(OpenApiTypes.URI)
    def get_chip_url(self, cover: dict[str, Any]) -> str:
        """Give the address of the face chip."""
        return chip_url(cover["id"], chip_key=cover["chip_key"], request=self.context.get("request"))


class PersonSerializer(SparseFieldsMixin, serializers.ModelSerializer):
    """Output: a person. Wants `with_faces` of its QuerySet."""

    face_count = serializers.IntegerField(read_only=True)
    photo_count = serializers.IntegerField(read_only=True)
    cover = CoverSerializer(read_only=True, allow_null=True)
    hidden = serializers.BooleanField(source="is_hidden", read_only=True)

    class Meta:
        model = Person
        fields = ("id", "library", "name", "hidden", "created_at", "face_count", "photo_count", "cover")
        read_only_fields = fields
        extra_kwargs = {"library": {"help_text": "Its key."}}


class DecidedPersonSerializer(PersonSerializer):
    """Output: a person of whom something was decided."""

    decisions = serializers.SerializerMethodField(
        help_text="What this call has decided, to be undone; none if nothing."
    )

    class Meta(PersonSerializer.Meta):
        fields = (*PersonSerializer.Meta.fields, "decisions")
        read_only_fields = fields

    def get_decisions(self, _person: Person) -> list[UUID]:
        """Give the keys of what the view has decided."""
        return [decision.pk for decision in self.context["decisions"]]


class PersonChangeSerializer(InputSerializer):
    """Input: what is changed of a person; what is missing stays."""

    name = serializers.CharField(
        max_length=200, allow_blank=True, required=False, help_text="Empty takes the name away."
    )
    hidden = serializers.BooleanField(required=False, help_text="Left out of lists.")
    cover = serializers.UUIDField(
        required=False, allow_null=True, help_text="The key of one of their faces; null: the best one."
    )


class MergeSerializer(InputSerializer):
    """Input: who is the same person."""

    people = BoundedListField(
        child=serializers.UUIDField(),
        min_length=1,
        max_length=100,
        help_text="Keys of those who are merged into this one.",
    )


class FacesSerializer(InputSerializer):
    """Input: some faces of a person."""

    faces = BoundedListField(
        child=serializers.UUIDField(), min_length=1, max_length=10_000, required=False,
        help_text="Keys of faces of this person; without it all that are shown.",
    )  # fmt: skip


class SplitSerializer(InputSerializer):
    """Input: which faces of a person are somebody else, and who."""

    faces = BoundedListField(
        child=serializers.UUIDField(), min_length=1, max_length=10_000, help_text="Keys of faces of this person."
    )
    name = serializers.CharField(
        max_length=200, allow_blank=True, required=False, help_text="Of the new person; empty: none."
    )


class ExportedMergedSerializer(serializers.Serializer):
    """Output: somebody who was merged into the person of an export."""

    id = serializers.UUIDField()
    name = serializers.CharField()


class ExportedPersonSerializer(serializers.Serializer):
    """Output: the person of an export."""

    id = serializers.UUIDField()
    library = serializers.UUIDField()
    name = serializers.CharField()
    is_hidden = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    merged = ExportedMergedSerializer(many=True)


class ExportedLinkSerializer(serializers.Serializer):
    """Output: what a decision of an export says of a face."""

    face = serializers.UUIDField()
    says = serializers.ChoiceField(LinkKind.choices, help_text="What it says of the face and the person.")
    in_force = serializers.BooleanField()


class ExportedDecisionSerializer(serializers.Serializer):
    """Output: a decision of an export."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(DecisionKind.choices)
    made_at = serializers.DateTimeField()
    undone_at = serializers.DateTimeField(allow_null=True)
    names = serializers.ListField(
        child=serializers.CharField(allow_blank=True), help_text="Before and after, where it was a name."
    )
    faces = ExportedLinkSerializer(many=True)


class ExportedEmbeddingSerializer(serializers.Serializer):
    """Output: a vector of an export."""

    model = serializers.CharField()
    version = serializers.CharField()
    vector = serializers.ListField(child=serializers.FloatField())


class ExportedFaceSerializer(serializers.Serializer):
    """Output: a face of an export."""

    id = serializers.UUIDField()
    photo = serializers.UUIDField()
    photo_filename = serializers.CharField()
    photo_uploaded_at = serializers.DateTimeField()
    photo_is_in_trash = serializers.BooleanField()
    found_at = serializers.DateTimeField()
    version = serializers.CharField(help_text="Of the stage that found it.")
    box = serializers.ListField(
        child=serializers.FloatField(), help_text="Left, top, right, bottom, as fractions of the upright photo."
    )
    landmarks = serializers.ListField(child=serializers.ListField(child=serializers.FloatField()))
    confidence = serializers.FloatField()
    quality = serializers.FloatField()
    decided_by_somebody = serializers.BooleanField()
    embeddings = ExportedEmbeddingSerializer(many=True)
    chip_jpeg_base64 = serializers.CharField(allow_null=True, help_text="Null where the object is missing.")


class PersonExportSerializer(serializers.Serializer):
    """Output: all that is held on a person (`photos.services.person_export`)."""

    format = serializers.IntegerField()
    exported_at = serializers.DateTimeField()
    person = ExportedPersonSerializer()
    faces = ExportedFaceSerializer(many=True)
    decisions = ExportedDecisionSerializer(many=True)
