"""What the API takes and gives about imports."""

from typing import Any

from rest_framework import serializers

from accounts.api.inputs import InputSerializer
from processing.importing.counts import NAMES, REFUSED_BY, complete
from processing.models import FileState, Import, ImportedFile, ImportMode, ImportPhase, ImportState

# of the files that were refused, as many are told with the import itself
FIRST_REFUSED = 20


class SourceSerializer(serializers.Serializer):
    """Output: a place that may be imported from (`processing.services.imports.SourceFacts`)."""

    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=[("folder", "A folder of the server"), ("bucket", "A bucket")])


class SourcesSerializer(serializers.Serializer):
    """Output: all of them."""

    sources = SourceSerializer(many=True)


class NewImportSerializer(InputSerializer):
    """Input: what is to be imported, and how."""

    library = serializers.UUIDField()
    source = serializers.CharField(max_length=24, help_text="One of `imports/sources`.")
    path = serializers.CharField(
        max_length=1000,
        required=False,
        default="",
        allow_blank=True,
        trim_whitespace=False,
        help_text="A folder or a file below the source; nothing: all of it. Written as the answers do: `%` is `%25`.",
    )
    mode = serializers.ChoiceField(choices=ImportMode.choices, required=False, default=ImportMode.COPY)
    dry_run = serializers.BooleanField(required=False, default=False, help_text="Count the files, and take none in.")
    verify = serializers.BooleanField(
        required=False, default=False, help_text="Read files too that have the size and time that they had."
    )


class RescanSerializer(InputSerializer):
    """Input: how thoroughly a place is read again."""

    verify = NewImportSerializer().fields["verify"]


class ImportCountsSerializer(serializers.Serializer):
    """Output: what an import has counted so far."""

    files = serializers.IntegerField(help_text="Photos looked at; the next six are of them, but for the missing.")
    added = serializers.IntegerField()
    duplicates = serializers.IntegerField(help_text="Their bytes are in the library already.")
    unchanged = serializers.IntegerField(help_text="As they were when they were imported before.")
    changed = serializers.IntegerField(help_text="Other bytes than before: taken in as new photos.")
    refused = serializers.IntegerField()
    missing = serializers.IntegerField(help_text="Imported before and not there any more; their photos stay.")
    passed_over = serializers.IntegerField(help_text="Films, texts, sidecars, links: no photos by their names.")
    sidecars = serializers.IntegerField(help_text="Read, because they are new or have changed.")
    sidecars_refused = serializers.IntegerField()
    bytes = serializers.IntegerField(help_text="Of the photos looked at.")


class ImportSerializer(serializers.ModelSerializer):
    """Output: an import. Wants the annotations of `with_state`."""

    library = serializers.UUIDField(source="library_id", read_only=True)
    requested_by = serializers.UUIDField(source="requested_by_id", read_only=True, allow_null=True)
    mode = serializers.ChoiceField(choices=ImportMode.choices, read_only=True)
    dry_run = serializers.BooleanField(source="is_dry_run", read_only=True)
    state = serializers.ChoiceField(
        source="shown_state",
        choices=ImportState.choices,
        read_only=True,
        help_text="`failed`: its work has ended with `error_code`; `resume` tries again.",
    )
    phase = serializers.ChoiceField(choices=ImportPhase.choices, read_only=True)
    pause_code = serializers.CharField(read_only=True, help_text="Why it paused by itself: `quota_exceeded`, or empty.")
    total_files = serializers.IntegerField(read_only=True, allow_null=True, help_text="Null until they are counted.")
    total_bytes = serializers.IntegerField(read_only=True, allow_null=True)
    counts = serializers.SerializerMethodField()
    refused_by = serializers.SerializerMethodField(help_text="How many were refused, by error code.")
    files_per_second = serializers.FloatField(read_only=True, allow_null=True)
    seconds_left = serializers.FloatField(read_only=True, allow_null=True, help_text="Of work, at this pace.")
    error_code = serializers.SerializerMethodField(help_text="Of the last trouble; empty where there is none.")

    class Meta:
        model = Import
        fields = (
            "id", "library", "source", "path", "mode", "dry_run", "verify", "requested_by", "state", "pause_code",
            "error_code", "phase", "total_files", "total_bytes", "counts", "refused_by", "files_per_second",
            "seconds_left", "created_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_counts(self, one: Import) -> ImportCountsSerializer:
        """Give all counts, zeros too."""
        counts = complete(one.counts)
        return {name: counts[name] for name in NAMES}

    def get_refused_by(self, one: Import) -> dict[str, int]:
        """Give the refusals."""
        return complete(one.counts)[REFUSED_BY]

    def get_error_code(self, one: Import) -> str:
        """Give the error while it means something."""
        return "" if one.finished_at else one.error_code


class ImportedFileSerializer(serializers.ModelSerializer):
    """Output: a file, and what became of it in the import that looked at it last."""

    state = serializers.ChoiceField(choices=FileState.choices, read_only=True)
    photo = serializers.UUIDField(source="photo_id", read_only=True, allow_null=True)
    previous_photo = serializers.UUIDField(
        source="previous_photo_id",
        read_only=True,
        allow_null=True,
        help_text="Of a file that has changed: the photo of what it was. It may be deleted by now.",
    )
    sidecar_code = serializers.CharField(read_only=True, help_text="Why the file beside it was refused, or empty.")

    class Meta:
        model = ImportedFile
        fields = (
            "id", "path", "size", "state", "code", "detail", "photo", "previous_photo", "sidecar_code", "seen_at",
        )  # fmt: skip
        read_only_fields = fields


class ImportDetailSerializer(ImportSerializer):
    """Output: an import, and the first files that it refused."""

    error_detail = serializers.CharField(read_only=True)
    first_refused = serializers.SerializerMethodField(help_text=f"The newest {FIRST_REFUSED}; all are in `files`.")

    class Meta(ImportSerializer.Meta):
        fields = (*ImportSerializer.Meta.fields, "error_detail", "first_refused")
        read_only_fields = fields

    def get_first_refused(self, one: Import) -> ImportedFileSerializer(many=True):
        """Give some of them."""
        files: Any = one.files.filter(state=FileState.REFUSED).order_by("-pk")[:FIRST_REFUSED]
        return ImportedFileSerializer(files, many=True).data
