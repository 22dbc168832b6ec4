"""What the API takes and gives about exports."""

from typing import Any

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.reverse import reverse

from accounts.api.promises.fields import SparseFieldsMixin
from gallery import export_downloads
from gallery.api.serializers.edits import SelectionSerializer
from photos.models import Export, ExportFile, ExportMetadata, ExportState, WithdrawReason
from photos.models.export import ORIGINALS

BACKGROUND, STREAM = "background", "stream"
DELIVERIES = [(BACKGROUND, "made in the background, and kept for a time"), (STREAM, "sent while it is made")]


class ExportCreationSerializer(SelectionSerializer):
    """Input: which photos, what of them, and how it is to come."""

    content = serializers.CharField(
        default=ORIGINALS, max_length=32, help_text="`originals`, or a kind of rendition, as `preview`."
    )
    metadata = serializers.ChoiceField(
        choices=ExportMetadata.choices, default=ExportMetadata.NONE, help_text="What goes beside each photo."
    )
    delivery = serializers.ChoiceField(choices=DELIVERIES, default=BACKGROUND)
    dry_run = serializers.BooleanField(default=False, help_text="Count, and make nothing.")

    def validate_content(self, content: str) -> str:
        """Refuse what there is not."""
        if content != ORIGINALS and content not in settings.RENDITION_SIZES:
            raise serializers.ValidationError(f"There are: {', '.join([ORIGINALS, *settings.RENDITION_SIZES])}.")
        return content


class ExportFileSerializer(serializers.ModelSerializer):
    """Output: a file of an export that is ready."""

    url = serializers.SerializerMethodField(help_text="Where it is for you.")
    link = serializers.SerializerMethodField(
        help_text="Where it is for whoever has this address, without logging in, until the export expires or is "
        "deleted, or you may not have it any more."
    )

    class Meta:
        model = ExportFile
        fields = ("number", "byte_size", "sha256", "photo_count", "url", "link")
        read_only_fields = fields

    @extend_schema_field(OpenApiTypes.URI)
    def get_url(self, file: ExportFile) -> str:
        """Give the address."""
        return reverse("export-file", [file.export_id, file.number], request=self.context.get("request"))

    @extend_schema_field(OpenApiTypes.URI)
    def get_link(self, file: ExportFile) -> str:
        """Give the signed address."""
        return reverse("export-link-detail", [export_downloads.token_of(file)], request=self.context.get("request"))


class ExportSerializer(SparseFieldsMixin, serializers.ModelSerializer):
    """Output: an export. Wants `with_state`."""

    library = serializers.UUIDField(source="library_id", read_only=True)
    content = serializers.CharField(read_only=True)
    metadata = serializers.ChoiceField(choices=ExportMetadata.choices, read_only=True)
    state = serializers.ChoiceField(
        source="shown_state",
        choices=ExportState.choices,
        read_only=True,
        help_text="`failed`: its work has ended with `error_code`; whoever runs the installation may retry it.",
    )
    reason = serializers.CharField(
        read_only=True, help_text=f"Why it was withdrawn ({', '.join(WithdrawReason)}), or empty."
    )
    error_code = serializers.SerializerMethodField(help_text="Of the last trouble; empty where there is none.")
    photo_count = serializers.IntegerField(read_only=True, help_text="Photos that were asked for.")
    done_count = serializers.IntegerField(source="position", read_only=True, help_text="Of these gone through so far.")
    left_out = serializers.DictField(
        child=serializers.IntegerField(),
        read_only=True,
        help_text="How many of them are in no file, by code; the manifests name them.",
    )
    byte_size = serializers.IntegerField(read_only=True, help_text="Of its files so far.")

    class Meta:
        model = Export
        fields: tuple[str, ...] = (
            "id", "library", "content", "metadata", "state", "reason", "error_code", "photo_count", "done_count",
            "left_out", "byte_size", "created_at", "finished_at", "expires_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_error_code(self, one: Export) -> str:
        """Give the error while it means something."""
        return one.error_code if one.state == ExportState.RUNNING else ""


class ExportDetailSerializer(ExportSerializer):
    """Output: an export with its files."""

    files = serializers.SerializerMethodField(help_text="Where it is ready: each a zip of its own.")

    class Meta(ExportSerializer.Meta):
        fields = (*ExportSerializer.Meta.fields, "files")
        read_only_fields = fields

    def get_files(self, one: Export) -> ExportFileSerializer(many=True):
        """Give them in order."""
        files: Any = one.files.defer("photo_ids").order_by("number") if one.state == ExportState.READY else ()
        return ExportFileSerializer(files, many=True, context=self.context).data


class ExportedSerializer(serializers.Serializer):
    """Output: what asking for an export came to."""

    matched = serializers.IntegerField(help_text="Photos that were asked for.")
    exports = ExportSerializer(many=True, help_text="One for each library. Empty of a dry run.")
