"""What the API gives of decisions about people."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from gallery.api.serializers.faces import NamedPersonSerializer
from photos.models import DecisionKind, PersonDecision


class DecisionSerializer(serializers.ModelSerializer):
    """Output: what somebody decided. Wants `with_face_count` of its QuerySet."""

    person = NamedPersonSerializer(read_only=True, allow_null=True, help_text="Whom it is about; null: nobody.")
    face_count = serializers.IntegerField(read_only=True, help_text="How many faces it said something of.")
    name = serializers.SerializerMethodField(help_text="The name that was given; null for what is no naming.")
    made = serializers.SerializerMethodField(help_text="The key of the person that it made; null if none.")
    merged = serializers.SerializerMethodField(help_text="Keys of those who were merged into the person.")

    class Meta:
        model = PersonDecision
        fields = (
            "id", "library", "kind", "person", "face_count", "name", "made", "merged", "by", "made_at", "undone_at",
            "undone_by",
        )  # fmt: skip
        read_only_fields = fields
        extra_kwargs = {
            "library": {"help_text": "Its key."},
            "by": {"help_text": "The account's key; null if it is gone, or nobody knows."},
            "undone_by": {"help_text": "The account's key."},
        }

    def get_name(self, decision: PersonDecision) -> str | None:
        """Give the name."""
        return decision.details["after"] if decision.kind == DecisionKind.NAME else None

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_made(self, decision: PersonDecision) -> Any:
        """Give who was made."""
        return decision.details.get("made")

    def get_merged(self, decision: PersonDecision) -> list[UUID]:
        """Give who was merged."""
        return decision.details.get("people", [])
