"""What the API takes and gives about processing as a whole."""

from rest_framework import serializers

from accounts.api.inputs import InputSerializer
from accounts.api.serializers import LibrarySerializer
from accounts.models import ConsentRecord
from processing.models import LibraryRun, RunState


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


class FaceAnalysisSerializer(InputSerializer):
    """Input: the switch of a library's face analysis."""

    enabled = serializers.BooleanField()
    consent_version = serializers.CharField(
        required=False,
        default="",
        max_length=32,
        help_text="With `enabled`: the version of the text that you agree to.",
    )


class ForgetLibrarySerializer(InputSerializer):
    """Input: how much of a library is to be erased."""

    what = serializers.ChoiceField(
        choices=[("faces", "All faces and people"), ("everything", "The library with everything in it")]
    )
    name = serializers.CharField(
        required=False, default="", max_length=200, help_text="With `everything`: the library's name, typed once more."
    )


class ConsentTextSerializer(serializers.Serializer):
    """Output: what is agreed to by switching face analysis on."""

    version = serializers.CharField()
    text = serializers.CharField()


class LibraryWorkSerializer(serializers.ModelSerializer):
    """Output: a run of work on a library, and what it has done so far."""

    state = serializers.ChoiceField(choices=RunState.choices, read_only=True)
    report = serializers.DictField(child=serializers.IntegerField(), read_only=True, help_text="Counts.")

    class Meta:
        model = LibraryRun
        fields = ("id", "state", "report", "error_code", "created_at", "finished_at")
        read_only_fields = fields


class FaceWorkSerializer(serializers.Serializer):
    """Output: what goes on behind the switch (`processing.face_work.FaceWork`)."""

    erasure = LibraryWorkSerializer(
        allow_null=True, help_text="Of `photos` that had faces, `faces`, `embeddings`, `people`; null if none was."
    )
    planning = LibraryWorkSerializer(
        allow_null=True, help_text="Of `photos`, `of` so many, `runs` made; null if none was."
    )


class ConsentRecordSerializer(serializers.ModelSerializer):
    """Output: one turn of the switch of face analysis."""

    by = serializers.UUIDField(
        source="by_id", read_only=True, allow_null=True, help_text="Null: a command, or an account that is gone."
    )
    text_version = serializers.CharField(read_only=True, help_text="Of the text that was agreed to; empty: off.")

    class Meta:
        model = ConsentRecord
        fields = ("enabled", "by", "at", "text_version")
        read_only_fields = fields


class FaceAnalysisLibrarySerializer(LibrarySerializer):
    """Output: a library, and what goes on behind its switch.

    Wants the attributes `face_work`, `consent` and `consent_history`.
    """

    face_work = FaceWorkSerializer(read_only=True)
    consent = ConsentTextSerializer(read_only=True, help_text="The text that holds now.")
    consent_history = ConsentRecordSerializer(
        many=True,
        read_only=True,
        help_text="The last turns of the switch, newest first, 20 at most; empty without `face_analysis.switch`.",
    )

    class Meta(LibrarySerializer.Meta):
        fields = (*LibrarySerializer.Meta.fields, "face_work", "consent", "consent_history")
        read_only_fields = fields
