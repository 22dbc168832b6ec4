"""What the API takes and gives about dead letters."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.inputs import InputSerializer
from accounts.api.promises.fields import SparseFieldsMixin
from accounts.models import Library, User
from photos.models import Photo
from processing import backlog
from processing.dead_letters import DeadLetterGroup, fingerprint_of, subject_of
from processing.error_codes import explain
from processing.models import LibraryRun, RunState, StageRun
from processing.services.dead_letters import REASON_MAX_LENGTH

FINGERPRINT_HELP = "16 hexadecimal digits that failures of one kind share: of work, error code, exception and frame."


class FingerprintField(serializers.RegexField):
    """A fingerprint, as `groups` gives it."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(r"^[0-9a-f]{16}\Z", **{"help_text": FINGERPRINT_HELP, **kwargs})


class DeadLetterFilterSerializer(serializers.Serializer):
    """Input: what dead letters are narrowed by."""

    stage = serializers.CharField(required=False, help_text="Of this stage, or this kind of library work.")
    error_code = serializers.CharField(required=False, max_length=64, help_text="With exactly this error code.")
    library = serializers.UUIDField(required=False, help_text="Of this library.")

    def validate_stage(self, name: str) -> str:
        """Refuse work that there is not."""
        if name not in backlog.queues():
            raise serializers.ValidationError(
                "There is no such stage, and no such library work.", code="invalid_choice"
            )
        return name


class DeadLetterListFilterSerializer(DeadLetterFilterSerializer):
    """Input: what the list of dead letters is narrowed by."""

    fingerprint = FingerprintField(required=False, help_text="Of this group: a `fingerprint` that `groups` gave.")
    state = serializers.ChoiceField(
        choices=["dead", "discarded"], default="dead", help_text="Those that wait for a person, or those given up."
    )


class AlikeSerializer(InputSerializer):
    """Input: dead runs that failed in one way."""

    fingerprint = FingerprintField()


class DiscardSerializer(InputSerializer):
    """Input: why something is given up."""

    reason = serializers.CharField(max_length=REASON_MAX_LENGTH, help_text="Kept with the run.")


class DiscardAlikeSerializer(DiscardSerializer):
    """Input: which dead runs are given up, and why."""

    fingerprint = FingerprintField()


class NamedLibrarySerializer(serializers.ModelSerializer):
    """Output: which library."""

    class Meta:
        model = Library
        fields = ("id", "name")
        read_only_fields = fields


class NamedPhotoSerializer(serializers.ModelSerializer):
    """Output: which photo."""

    class Meta:
        model = Photo
        fields = ("id", "original_filename")
        read_only_fields = fields


class NamedUserSerializer(serializers.ModelSerializer):
    """Output: which account."""

    class Meta:
        model = User
        fields = ("id", "email")
        read_only_fields = fields


class ExplainedSerializer(serializers.Serializer):
    """Output: what the `error_code` of something means."""

    meaning = serializers.SerializerMethodField(help_text="What the code means; empty for one of another release.")
    remedy = serializers.SerializerMethodField(help_text="What a person can do about it.")

    def get_meaning(self, failed: StageRun | LibraryRun | DeadLetterGroup) -> str:
        """Say what the code means."""
        return str(explain(failed.error_code).meaning)

    def get_remedy(self, failed: StageRun | LibraryRun | DeadLetterGroup) -> str:
        """Say what can be done."""
        return str(explain(failed.error_code).remedy)


class DeadLetterSerializer(SparseFieldsMixin, serializers.Serializer):
    """Output: a run that is dead, was, or has been given up. Wants `processing.dead_letters.shown`."""

    id = serializers.UUIDField()
    is_library_work = serializers.SerializerMethodField(help_text="Work on a library, which has no photo.")
    work = serializers.SerializerMethodField(help_text="The stage, or the kind of library work.")
    version = serializers.CharField()
    library = serializers.SerializerMethodField()
    photo = serializers.SerializerMethodField()
    state = serializers.ChoiceField(choices=RunState.choices)
    skip_reason = serializers.CharField(help_text="`discarded` where it has been given up.")
    attempt = serializers.IntegerField(help_text="How often it was tried.")
    error_code = serializers.CharField(help_text="Stable.")
    error_detail = serializers.CharField()
    exception = serializers.CharField(help_text="Its type; empty where the process was lost.")
    frame = serializers.CharField(help_text="The innermost frame of ours, as `file.py:function`.")
    fingerprint = serializers.SerializerMethodField(help_text=FINGERPRINT_HELP)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True, help_text="When it died, or was discarded.")
    discarded_by = NamedUserSerializer(allow_null=True)
    discard_reason = serializers.CharField()

    def get_is_library_work(self, run: StageRun | LibraryRun) -> bool:
        """Tell the two ledgers apart."""
        return isinstance(run, LibraryRun)

    def get_work(self, run: StageRun | LibraryRun) -> str:
        """Name the work."""
        return subject_of(run).work

    @extend_schema_field(NamedLibrarySerializer)
    def get_library(self, run: StageRun | LibraryRun) -> dict[str, object]:
        """Name the library."""
        return NamedLibrarySerializer(subject_of(run).library).data

    @extend_schema_field(NamedPhotoSerializer(allow_null=True))
    def get_photo(self, run: StageRun | LibraryRun) -> dict[str, object] | None:
        """Name the photo."""
        photo = subject_of(run).photo
        return None if photo is None else NamedPhotoSerializer(photo).data

    def get_fingerprint(self, run: StageRun | LibraryRun) -> str:
        """Give the fingerprint; that of an older run is made of what it has."""
        return fingerprint_of(run)


class DeadLetterDetailSerializer(ExplainedSerializer, DeadLetterSerializer):
    """Output: all that is known of a run."""

    traceback = serializers.CharField(help_text="Of the last error; empty where there was no exception.")
    subject = serializers.SerializerMethodField(help_text="Of library work that has one.")
    queued_at = serializers.DateTimeField(allow_null=True)
    not_before = serializers.DateTimeField(allow_null=True)
    worker = serializers.CharField(help_text="Who had it last.")
    task_id = serializers.CharField(help_text="The Celery task that had it last.")
    work_seconds = serializers.FloatField(allow_null=True, help_text="Work that led to its result.")
    inputs = serializers.SerializerMethodField(help_text="Versions of the inputs that it read, by stage.")
    warnings = serializers.SerializerMethodField(help_text="What was wrong with the file and did not stop the stage.")

    def get_subject(self, run: StageRun | LibraryRun) -> str:
        """Give the subject of library work."""
        return run.subject if isinstance(run, LibraryRun) else ""

    def get_inputs(self, run: StageRun | LibraryRun) -> dict[str, str]:
        """Give the versions of the inputs."""
        return {} if isinstance(run, LibraryRun) else run.inputs

    def get_warnings(self, run: StageRun | LibraryRun) -> list[dict[str, str]]:
        """Give the warnings of a stage."""
        return [] if isinstance(run, LibraryRun) else run.warnings


class DeadLetterGroupSerializer(ExplainedSerializer):
    """Output: dead runs that failed in the same way (`processing.dead_letters.DeadLetterGroup`)."""

    fingerprint = serializers.CharField(help_text=FINGERPRINT_HELP)
    is_library_work = serializers.BooleanField()
    work = serializers.CharField(help_text="The stage, or the kind of library work.")
    error_code = serializers.CharField()
    exception = serializers.CharField(help_text="Its type; empty where the process was lost.")
    frame = serializers.CharField(help_text="The innermost frame of ours, as `file.py:function`.")
    count = serializers.IntegerField()
    first_seen = serializers.DateTimeField(help_text="When the first of them died.")
    last_seen = serializers.DateTimeField()
    libraries = serializers.ListField(
        child=serializers.CharField(), help_text="Names of the libraries with the most of them, five at most."
    )
    library_count = serializers.IntegerField()
    sample_run = serializers.UUIDField(source="sample_run_id", help_text="The one that died last.")
    sample_photo = serializers.UUIDField(source="sample_photo_id", allow_null=True)


class DeadLetterGroupsSerializer(serializers.Serializer):
    """Output: all groups, what died last first."""

    groups = DeadLetterGroupSerializer(many=True)


class DiscardedSerializer(serializers.Serializer):
    """Output: what a discard did."""

    discarded = serializers.IntegerField(help_text="How many dead runs were given up.")
