"""What the API gives of stage runs."""

from rest_framework import serializers

from processing.models import RunState


class StageReportSerializer(serializers.Serializer):
    """Output: a stage run of a photo (`gallery.stage_reports.StageReport`)."""

    stage = serializers.CharField()
    version = serializers.CharField()
    state = serializers.ChoiceField(choices=RunState.choices)
    attempt = serializers.IntegerField()
    queued_at = serializers.DateTimeField(allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    duration_seconds = serializers.FloatField(allow_null=True, help_text="From the claim to the commit.")
    work_seconds = serializers.FloatField(allow_null=True, help_text="This photo's share of its batch.")
    skip_reason = serializers.CharField(help_text="Why there was nothing to do; empty otherwise.")
    error_code = serializers.CharField(help_text="Of the last failed attempt; stable.")
    error_detail = serializers.CharField(allow_null=True, help_text="Null without `processing.view`.")
    warnings = serializers.ListField(
        child=serializers.DictField(child=serializers.CharField()), help_text="What could not be made use of."
    )
    obstacle = serializers.CharField(
        help_text="Why a pending run is not claimed: `no_worker`, `model_not_installed`, or empty."
    )
