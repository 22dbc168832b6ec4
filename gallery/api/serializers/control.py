"""What the API takes and gives about stages and workers."""

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from accounts.api.inputs import InputSerializer
from gallery.api.serializers.dead_letters import NamedUserSerializer
from processing.services.stage_control import REASON_MAX_LENGTH


class PauseSerializer(InputSerializer):
    """Input: why a stage is paused."""

    reason = serializers.CharField(
        max_length=REASON_MAX_LENGTH, required=False, default="", allow_blank=True, help_text="Shown to other people."
    )


class StagePauseSerializer(serializers.Serializer):
    """Output: since when a stage is paused, and why."""

    paused_at = serializers.DateTimeField()
    paused_by = NamedUserSerializer(allow_null=True, help_text="Null where the circuit did it.")
    reason = serializers.CharField()
    is_circuit = serializers.BooleanField(help_text="Whether it lifts itself when the trouble is over.")
    error_code = serializers.CharField(help_text="What all recent runs failed with, where the circuit did it.")
    probe_at = serializers.DateTimeField(allow_null=True, help_text="When one run may try again.")


class UnfinishedCountsSerializer(serializers.Serializer):
    """Output: runs that are open or dead, by state, each up to 200,000."""

    waiting = serializers.IntegerField()
    pending = serializers.IntegerField()
    running = serializers.IntegerField()
    dead = serializers.IntegerField()


class StageStatusSerializer(serializers.Serializer):
    """Output: a stage, or a kind of library work (`processing.services.stage_control.StageStatus`)."""

    name = serializers.CharField()
    queue = serializers.CharField()
    is_library_work = serializers.BooleanField()
    counts = UnfinishedCountsSerializer()
    oldest_pending_seconds = serializers.FloatField(allow_null=True)
    done_last_5_minutes = serializers.IntegerField()
    done_per_minute = serializers.FloatField()
    failures_last_hour = serializers.IntegerField(help_text="Runs that died, and are dead still.")
    pause = StagePauseSerializer(allow_null=True, help_text="Null while it is not paused.")
    obstacle = serializers.CharField(
        help_text="Why pending runs are not claimed, beside a pause: `no_worker`, `model_not_installed`, or empty."
    )


@extend_schema_serializer(many=False)
class StagesSerializer(serializers.Serializer):
    """Output: all stages, in the order in which a photo goes through them, then the work on libraries."""

    stages = StageStatusSerializer(many=True)


class WorkerStatusSerializer(serializers.Serializer):
    """Output: a worker (`processing.services.stage_control.WorkerStatus`)."""

    name = serializers.CharField()
    host = serializers.CharField()
    queues = serializers.ListField(child=serializers.CharField())
    models = serializers.ListField(child=serializers.CharField(), help_text="Those that it can run.")
    versions = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()), help_text="Versions that it can run, by stage."
    )
    device = serializers.CharField()
    processes = serializers.IntegerField()
    running = serializers.IntegerField(help_text="Runs that it holds.")
    running_by_work = serializers.DictField(child=serializers.IntegerField())
    memory_bytes = serializers.IntegerField(allow_null=True)
    started_at = serializers.DateTimeField()
    last_seen = serializers.DateTimeField(source="seen_at")
    last_seen_seconds_ago = serializers.FloatField(source="seen_seconds_ago")
    is_alive = serializers.BooleanField(help_text="Whether it was heard of within 45 seconds.")
    draining_since = serializers.DateTimeField(allow_null=True, help_text="Since when it takes nothing new.")


@extend_schema_serializer(many=False)
class WorkersSerializer(serializers.Serializer):
    """Output: the workers that were there within the last day."""

    workers = WorkerStatusSerializer(many=True)
