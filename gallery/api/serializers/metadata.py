"""What the API gives of a file's metadata."""

from rest_framework import serializers

from photos.models import Metadata


class MetadataSerializer(serializers.ModelSerializer):
    """Output: what a file says of itself."""

    class Meta:
        model = Metadata
        fields = (
            "camera_make",
            "camera_model",
            "lens_make",
            "lens",
            "taken_at",
            "taken_at_offset",
            "taken_at_source",
            "exposure_time",
            "aperture",
            "iso",
            "focal_length",
            "focal_length_35mm",
            "flash",
            "flash_fired",
            "orientation",
            "latitude",
            "longitude",
            "altitude",
            "direction",
            "gps_time",
            "software",
            "artist",
            "copyright",
            "title",
            "description",
            "keywords",
            "rating",
            "tags",
            "warnings",
        )
        read_only_fields = fields
