"""What the API takes and gives about photos."""

import base64

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.inputs import InputSerializer
from accounts.api.promises.fields import SparseFieldsMixin
from gallery.api.links import original_url, rendition_url
from gallery.api.serializers.faces import FaceSerializer
from gallery.api.serializers.metadata import MetadataSerializer
from gallery.api.serializers.stages import StageReportSerializer
from photos.models import Photo, Rendition, Tag
from photos.services.edits import CORRECTIONS
from processing.services import trash
from processing.states import PhotoState


class UploadSerializer(InputSerializer):
    """Input: a file, and the library that it goes into."""

    # that an empty file is refused, and with which code, is the service's to say
    file = serializers.FileField(allow_empty_file=True)
    library = serializers.UUIDField(help_text="The library that takes the photo in.")


class DeletionSerializer(serializers.Serializer):
    """Input: whether a photo goes for good."""

    permanently = serializers.BooleanField(
        default=False, help_text="Delete it for good, with everything that is known of it, and not into the trash."
    )


@extend_schema_field(OpenApiTypes.BYTE)
class Base64Field(serializers.Field):
    """Output: bytes in base64."""

    def to_representation(self, value: bytes | memoryview) -> str:
        """Write bytes as text."""
        return base64.b64encode(value).decode("ascii")


class RenditionSerializer(serializers.ModelSerializer):
    """Output: a rendition, and where its bytes are."""

    url = serializers.SerializerMethodField()

    class Meta:
        model = Rendition
        fields = ("kind", "width", "height", "byte_size", "mime_type", "url")
        read_only_fields = fields

    @extend_schema_field(OpenApiTypes.URI)
    def get_url(self, rendition: Rendition) -> str:
        """Give an address that names the version, so the image may be kept for ever."""
        return rendition_url(rendition, request=self.context.get("request"))


class PhotoSerializer(SparseFieldsMixin, serializers.ModelSerializer):
    """Output: a photo in a list. Wants `gallery.api.photos.listed`."""

    state = serializers.ChoiceField(
        choices=PhotoState.choices,
        read_only=True,
        help_text="How far its processing is: `attention` waits for a person.",
    )
    thumbhash = Base64Field(
        read_only=True, allow_null=True, help_text="A ThumbHash to draw until the thumbnail is there."
    )
    is_favourite = serializers.BooleanField(read_only=True, help_text="Among your own.")
    renditions = RenditionSerializer(many=True, read_only=True)

    class Meta:
        model = Photo
        fields: tuple[str, ...] = (
            "id",
            "library",
            "uploader",
            "original_filename",
            "sha256",
            "byte_size",
            "mime_type",
            "width",
            "height",
            "uploaded_at",
            "state",
            "title",
            "caption",
            "rating",
            "is_favourite",
            "is_hidden",
            "taken_at",
            "taken_at_offset",
            "latitude",
            "longitude",
            "country_code",
            "country",
            "region",
            "city",
            "camera_make",
            "camera_model",
            "lens",
            "thumbhash",
            "renditions",
        )
        read_only_fields = fields
        extra_kwargs = {
            "library": {"help_text": "Its key."},
            "uploader": {"help_text": "The account's key."},
            "taken_at": {"help_text": "In UTC; without `taken_at_offset` what the camera's clock showed."},
            "taken_at_offset": {"help_text": "Minutes east of UTC; null where no one has said."},
        }


class TrashedPhotoSerializer(PhotoSerializer):
    """Output: a photo in the list of the trash. Wants `gallery.api.photos.described`.

    It names no rendition: their addresses are 404 until the photo is back.
    """

    trashed_at = serializers.DateTimeField(read_only=True, help_text="When it was moved to the trash.")
    purged_after = serializers.SerializerMethodField(
        help_text="It is deleted for good some time after this; null where nothing expires."
    )

    class Meta(PhotoSerializer.Meta):
        fields = (
            *(name for name in PhotoSerializer.Meta.fields if name != "renditions"),
            "trashed_at",
            "purged_after",
        )
        read_only_fields = fields

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_purged_after(self, photo: Photo) -> str | None:
        """Give the moment from which it may go."""
        return serializers.DateTimeField().to_representation(trash.purged_after(photo.trashed_at))


class PhotoTagSerializer(serializers.ModelSerializer):
    """Output: a tag of a photo."""

    class Meta:
        model = Tag
        fields = ("id", "name")
        read_only_fields = fields


class PhotoDetailSerializer(PhotoSerializer):
    """Output: all that is known of a photo. Wants `gallery.api.photos.detailed`."""

    original_url = serializers.SerializerMethodField()
    tags = PhotoTagSerializer(source="shown_tags", many=True, read_only=True)
    corrected = serializers.SerializerMethodField(help_text="What people said otherwise than the file, which stays.")
    metadata = MetadataSerializer(read_only=True, allow_null=True)
    faces = FaceSerializer(
        source="shown_faces", many=True, read_only=True, help_text="Those that you may see; none without `people.view`."
    )
    stages = StageReportSerializer(many=True, read_only=True)

    class Meta(PhotoSerializer.Meta):
        fields = (*PhotoSerializer.Meta.fields, "tags", "corrected", "original_url", "metadata", "faces", "stages")
        read_only_fields = fields

    @extend_schema_field(OpenApiTypes.URI)
    def get_original_url(self, photo: Photo) -> str:
        """Give the address of the original, which needs `originals.download`."""
        return original_url(photo.pk, request=self.context.get("request"))

    def get_corrected(self, photo: Photo) -> list[str]:
        """Name the fields."""
        return [name for name in CORRECTIONS if name in photo.corrections]


class ReceiptSerializer(serializers.ModelSerializer):
    """Output: that a photo was taken in, for somebody who may not look at it. Wants `with_state`.

    Nothing in it is another's: the same bytes may have been there before, with a name and a date of their own.
    """

    state = serializers.ChoiceField(choices=PhotoState.choices, read_only=True)

    class Meta:
        model = Photo
        fields = ("id", "library", "sha256", "byte_size", "state")
        read_only_fields = fields


class RetriedSerializer(serializers.Serializer):
    """Output: what a retry did."""

    retried = serializers.IntegerField(help_text="How many dead runs start over.")
