"""What the API takes and gives about processing as a whole."""

from rest_framework import serializers


class RunCountsSerializer(serializers.Serializer):
    """Output: runs by state."""

    waiting = serializers.IntegerField()
    pending = serializers.IntegerField()
    running = serializers.IntegerField()
    done = serializers.IntegerField()
    skipped = serializers.IntegerField()
    dead = serializers.IntegerField()


class WorkOverviewSerializer(serializers.Serializer):
    """Output: the runs of one stage, or of one kind of library work."""

    name = serializers.CharField()
    queue = serializers.CharField()
    counts = RunCountsSerializer()
    blocked = serializers.IntegerField(help_text="Those of the waiting that wait for a dead run.")
    oldest_pending_seconds = serializers.FloatField(allow_null=True)
    obstacle = serializers.CharField(
        help_text="Why pending runs are not claimed: `no_worker`, `model_not_installed`, or empty."
    )


class OverviewSerializer(serializers.Serializer):
    """Output: the pipeline at one moment (`processing.overview.Overview`)."""

    is_settled = serializers.BooleanField(help_text="Whether nothing moves any more by itself.")
    work = WorkOverviewSerializer(many=True)


class FaceAnalysisSerializer(serializers.Serializer):
    """Input: the switch of a library's face analysis."""

    enabled = serializers.BooleanField()
