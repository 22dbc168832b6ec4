"""What the API takes and gives about near-duplicates."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.fields import BoundedListField
from accounts.api.inputs import InputSerializer
from gallery.api.serializers.ranking import RankedPhotoSerializer
from photos.models import DuplicateDecision, DuplicateGroup
from photos.search.duplicates import Reason
from photos.services.duplicates import MOST_DECIDED


class DuplicateGroupSerializer(serializers.ModelSerializer):
    """Output: photos each of which is nearly the same as every other. Wants `gallery.api.duplicates.with_photos`."""

    keep = serializers.UUIDField(source="suggestion.photo.pk", help_text="The photo that is suggested to be kept.")
    reason = serializers.ChoiceField(
        source="suggestion.reason",
        choices=[str(one) for one in Reason],
        help_text="Why: the first of these in which it is better than another one of them.",
    )
    reason_text = serializers.CharField(source="suggestion.words", help_text="The same for a person.")
    photos = serializers.SerializerMethodField(
        help_text="The one to be kept first; the `distance` of each is in bits of the hash, from that one."
    )

    class Meta:
        model = DuplicateGroup
        fields = ("id", "library", "keep", "reason", "reason_text", "photos")
        read_only_fields = fields
        extra_kwargs = {"library": {"help_text": "Its key."}}

    @extend_schema_field(RankedPhotoSerializer(many=True))
    def get_photos(self, group: DuplicateGroup) -> list:
        """Give them."""
        return RankedPhotoSerializer(
            group.photos, many=True, context={key: one for key, one in self.context.items() if key != "view"}
        ).data


class DecisionSerializer(InputSerializer):
    """Input: photos that are no duplicates of each other."""

    photos = BoundedListField(
        child=serializers.UUIDField(),
        min_length=2,
        max_length=MOST_DECIDED,
        help_text="Photos of one library, no two of which are duplicates.",
    )


class DuplicateDecisionSerializer(serializers.ModelSerializer):
    """Output: somebody's word that photos are no duplicates of each other."""

    photos = serializers.SerializerMethodField(help_text="Keys of those that you may see.")

    class Meta:
        model = DuplicateDecision
        fields = ("id", "library", "photos", "decided_by", "decided_at")
        read_only_fields = fields
        extra_kwargs = {"library": {"help_text": "Its key."}, "decided_by": {"help_text": "The account's key."}}

    @extend_schema_field(serializers.ListField(child=serializers.UUIDField()))
    def get_photos(self, decision: DuplicateDecision) -> list[str]:
        """Give their keys, in order."""
        return sorted(str(one.photo_id) for one in decision.photos.all())
