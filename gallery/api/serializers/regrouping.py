"""What the API takes and gives about regrouping a library."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.inputs import InputSerializer
from gallery.api.serializers.faces import NamedPersonSerializer
from photos.models import Regrouping
from processing.models import RunState


@extend_schema_field({"type": "number", "minimum": 0, "maximum": 2})
class ThresholdField(serializers.FloatField):
    """A distance of vectors of length 1, and not 0; what is none is the service's to refuse."""


class RegroupingRequestSerializer(InputSerializer):
    """Input: by which rule a library would be grouped."""

    model = serializers.CharField(
        required=False, max_length=64, help_text="A model for faces with vectors here; without it the one in use."
    )
    threshold = ThresholdField(
        required=False,
        help_text="The distance within which faces are one person's, in the model's unit; without it that of today.",
    )


class MoveSerializer(serializers.Serializer):
    """Output: a face that would be somebody else's."""

    face = serializers.UUIDField(help_text="Its key.")
    before = NamedPersonSerializer(allow_null=True, help_text="Null: nobody.")
    after = NamedPersonSerializer(allow_null=True, help_text="Null: nobody, or somebody new.")
    is_new_person = serializers.BooleanField(help_text="Somebody whom this would make.")
    new_person = serializers.UUIDField(allow_null=True, help_text="The key that they would have.")


class ShareOfFacesSerializer(serializers.Serializer):
    """Output: how many of somebody's faces."""

    person = serializers.UUIDField()
    faces = serializers.IntegerField()


class SplitPersonSerializer(serializers.Serializer):
    """Output: somebody whose faces would be several people's."""

    person = serializers.UUIDField()
    into = ShareOfFacesSerializer(many=True)


class MergedPersonSerializer(serializers.Serializer):
    """Output: somebody who would get the faces of several people."""

    person = serializers.UUIDField()
    of = ShareOfFacesSerializer(many=True)


class RegroupingReportSerializer(serializers.Serializer):
    """Output: what a regrouping would change. Of each list the first are named."""

    faces = serializers.IntegerField(help_text="That have a vector of the model.")
    faces_moved = serializers.IntegerField()
    people_before = serializers.IntegerField(help_text="Who have such faces.")
    people_after = serializers.IntegerField()
    people_split = serializers.IntegerField()
    people_split_first = SplitPersonSerializer(many=True)
    people_merged = serializers.IntegerField()
    people_merged_first = MergedPersonSerializer(many=True)
    people_made = serializers.IntegerField()
    people_made_first = ShareOfFacesSerializer(many=True)
    people_gone = serializers.IntegerField()
    people_gone_first = ShareOfFacesSerializer(many=True)


class RegroupingSerializer(serializers.ModelSerializer):
    """Output: a regrouping that was asked for (`gallery.api.regrouping`)."""

    state = serializers.ChoiceField(RunState.choices, help_text="Of the run that computes it.")
    refused = serializers.CharField(help_text="Why it could not be computed; empty where it was.")
    report = RegroupingReportSerializer(allow_null=True, help_text="Null until it is computed.")
    moves = MoveSerializer(many=True, help_text="The first 100, in the order of the faces' keys.")

    class Meta:
        model = Regrouping
        fields = (
            "id", "library", "model", "threshold", "asked_at", "asked_by", "state", "refused", "computed_at",
            "applied_at", "report", "moves",
        )  # fmt: skip
        read_only_fields = fields
        extra_kwargs = {
            "library": {"help_text": "Its key."},
            "asked_by": {"help_text": "The account's key."},
            "applied_at": {"help_text": "Null while it is a preview."},
        }
