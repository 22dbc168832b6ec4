"""What the API gives of ranked photos and faces."""

from rest_framework import serializers

from gallery.api.serializers.photos import PhotoSerializer


class RankedPhotoSerializer(PhotoSerializer):
    """Output: a photo in a ranked list. Wants `gallery.api.ranking.in_order`."""

    distance = serializers.FloatField(
        read_only=True,
        help_text="How far it is from what was asked for: 0 is the same. By `hash` the bits that differ (0 to 11), by "
        "`embedding` and in a search by `text` the cosine distance (0 to 2).",
    )

    class Meta(PhotoSerializer.Meta):
        fields = (*PhotoSerializer.Meta.fields, "distance")
        read_only_fields = fields


class SimilarPhotosSerializer(serializers.Serializer):
    """Output: photos that look like one photo, nearest first."""

    by = serializers.ChoiceField(choices=["hash", "embedding"], help_text="What was compared.")
    model = serializers.CharField(allow_null=True, help_text="The model whose vectors were compared; null by hash.")
    results = RankedPhotoSerializer(many=True)
