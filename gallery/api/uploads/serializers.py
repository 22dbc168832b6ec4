"""What the API takes and gives about uploads."""

from django.db import models
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.inputs import InputSerializer
from gallery.api.serializers.photos import ReceiptSerializer
from photos.models import Photo
from processing.models import Upload, UploadState
from processing.states import with_state


class UploadProgress(models.TextChoices):
    """How far an upload is, for whoever made it."""

    OPEN = "open", _("bytes are missing")
    FINISHING = "finishing", _("all bytes are there; the file is being looked at")
    COMPLETE = "complete", _("it is a photo")
    REFUSED = "refused", _("it is no photo, and `error` says why")


class UploadErrorSerializer(serializers.Serializer):
    """Output: what an upload was refused for."""

    code = serializers.CharField(source="error_code", help_text="For a program: stable.")
    detail = serializers.CharField(source="error_detail", help_text="For a person.")


class ResumableUploadSerializer(serializers.ModelSerializer):
    """Output: an upload, and what became of it. Of the photo it says what whoever may only upload is told."""

    state = serializers.SerializerMethodField()
    photo = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField()

    class Meta:
        model = Upload
        fields = (
            "id", "library", "way", "filename", "length", "offset", "state", "created_at", "expires_at", "photo",
            "error",
        )  # fmt: skip
        read_only_fields = fields
        extra_kwargs = {"library": {"help_text": "Its key."}}

    @extend_schema_field(serializers.ChoiceField(choices=UploadProgress.choices))
    def get_state(self, upload: Upload) -> str:
        """Tell apart whether bytes are missing."""
        if upload.state != UploadState.OPEN:
            return str(upload.state)
        return (UploadProgress.FINISHING if upload.has_all_bytes else UploadProgress.OPEN).value

    @extend_schema_field(ReceiptSerializer(allow_null=True))
    def get_photo(self, upload: Upload) -> dict[str, object] | None:
        """Give the receipt of the photo that it has become."""
        photo = with_state(Photo.objects.filter(pk=upload.photo_id)).first() if upload.photo_id else None
        return None if photo is None else ReceiptSerializer(photo).data

    @extend_schema_field(UploadErrorSerializer(allow_null=True))
    def get_error(self, upload: Upload) -> dict[str, object] | None:
        """Give what it was refused for."""
        return UploadErrorSerializer(upload).data if upload.error_code else None


class DirectUploadRequestSerializer(InputSerializer):
    """Input: a file that is going to be sent straight to the bucket."""

    library = serializers.UUIDField(help_text="The library that takes the photo in.")
    filename = serializers.CharField(max_length=1000, required=False, default="", allow_blank=True)
    length = serializers.IntegerField(min_value=0, help_text="Its size in bytes: the bucket takes no other.")


class DirectUploadSerializer(serializers.Serializer):
    """Output: an upload, and the form by which its file is sent to the bucket: `fields`, then the file as `file`."""

    id = serializers.UUIDField()
    url = serializers.URLField(help_text="Where the form is posted to, as multipart/form-data.")
    fields = serializers.DictField(child=serializers.CharField(), help_text="All of them, before the file.")
    expires_at = serializers.DateTimeField(help_text="Until then the bucket takes it.")
