"""What the API takes and gives about shares."""

from rest_framework import serializers

from accounts.api.fields import BoundedListField
from accounts.api.inputs import InputSerializer
from accounts.api.promises.fields import SparseFieldsMixin
from gallery.models import Share
from gallery.models.share import MAX_PHOTOS, PASSWORD_MAX_LENGTH, PASSWORD_MIN_LENGTH

ORIGINALS_HELP = (
    "The files as they were uploaded, with all that they say, places among it. It takes `originals.download`."
)
METADATA_HELP = "Show file names, times and cameras. Places are never shown."


class ShareSerializer(SparseFieldsMixin, serializers.ModelSerializer):
    """Output: a share, without its link. Wants `with_photo_count` of its QuerySet."""

    photo_count = serializers.IntegerField(read_only=True, help_text="Those in the trash included.")
    has_password = serializers.BooleanField(read_only=True)

    class Meta:
        model = Share
        fields: tuple[str, ...] = (
            "id",
            "library",
            "created_by",
            "title",
            "created_at",
            "expires_at",
            "revoked_at",
            "has_password",
            "show_metadata",
            "allow_originals",
            "photo_count",
            "view_count",
            "last_viewed_at",
        )
        read_only_fields = fields
        extra_kwargs = {
            "library": {"help_text": "Its key."},
            "created_by": {"help_text": "The key of the account that answers for it."},
        }


class NewShareSerializer(ShareSerializer):
    """Output: a share that was made just now, with its link."""

    link = serializers.URLField(read_only=True, help_text="Told here and never again: keep it.")

    class Meta(ShareSerializer.Meta):
        fields = (*ShareSerializer.Meta.fields, "link")
        read_only_fields = fields


class ShareChangeSerializer(InputSerializer):
    """Input: what to change of a share; what is left out stays."""

    title = serializers.CharField(
        max_length=200, allow_blank=True, required=False, help_text="Shown above the photos to whoever looks."
    )
    password = serializers.CharField(
        max_length=PASSWORD_MAX_LENGTH,
        allow_blank=True,
        required=False,
        trim_whitespace=False,
        write_only=True,
        help_text=f"At least {PASSWORD_MIN_LENGTH} characters; empty: none is asked for.",
    )
    expires_at = serializers.DateTimeField(required=False, allow_null=True, help_text="Null: when it is revoked.")
    show_metadata = serializers.BooleanField(required=False, help_text=METADATA_HELP)
    allow_originals = serializers.BooleanField(required=False, help_text=ORIGINALS_HELP)


class ShareCreationSerializer(ShareChangeSerializer):
    """Input: photos to share, and how."""

    photos = BoundedListField(
        child=serializers.UUIDField(),
        min_length=1,
        max_length=MAX_PHOTOS,
        help_text="Keys of photos of one library, in the order in which they are shown.",
    )
