"""What the API takes and gives about edits of photos."""

from datetime import UTC, datetime, timedelta
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.fields import BoundedListField
from accounts.api.inputs import InputSerializer
from accounts.problems import COMBINATION
from photos.models import Edit, Revision
from photos.services.shown import CAPTION_LENGTH, TITLE_LENGTH
from photos.services.tags import NAME_LENGTH

IDS_AT_MOST = 1000
TAGS_AT_MOST = 100
LARGEST_OFFSET = timedelta(hours=14)
# ten years: clocks that were never set
LARGEST_SHIFT_SECONDS = 10 * 366 * 86_400


@extend_schema_field(OpenApiTypes.DATETIME)
class ClockField(serializers.Field):
    """Input: a time with its offset from UTC; without, it is that of a clock whose zone nobody knows."""

    default_error_messages = {"invalid": "A time in ISO 8601, from year 1 to 9999, with an offset of up to 14 hours."}

    def to_internal_value(self, data: object) -> str:
        """Give it in ISO 8601."""
        try:
            moment = datetime.fromisoformat(data) if isinstance(data, str) else None
            if moment is None or abs(moment.utcoffset() or timedelta()) > LARGEST_OFFSET:
                self.fail("invalid")
            # one that some zone has pushed out of the calendar
            (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail("invalid")
        return moment.isoformat()

    def to_representation(self, value: str) -> str:
        """Give it as it is."""
        return value


class PositionSerializer(InputSerializer):
    """Input: a position, WGS 84 degrees; two nulls say that there is none."""

    latitude = serializers.FloatField(min_value=-90, max_value=90, allow_null=True)
    longitude = serializers.FloatField(min_value=-180, max_value=180, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse half a position."""
        if (attrs["latitude"] is None) != (attrs["longitude"] is None):
            raise serializers.ValidationError("Both numbers, or two nulls.", code=COMBINATION)
        return attrs


def _tags(help_text: str) -> BoundedListField:
    child = serializers.CharField(max_length=NAME_LENGTH)
    return BoundedListField(child=child, max_length=TAGS_AT_MOST, required=False, help_text=help_text)


class PhotoChangesSerializer(InputSerializer):
    """Input: what is true of a photo. A field that is null goes back to what the file says."""

    title = serializers.CharField(max_length=TITLE_LENGTH, allow_blank=True, allow_null=True, required=False)
    caption = serializers.CharField(max_length=CAPTION_LENGTH, allow_blank=True, allow_null=True, required=False)
    rating = serializers.IntegerField(min_value=0, max_value=5, allow_null=True, required=False, help_text="Stars.")
    taken_at = ClockField(allow_null=True, required=False, help_text="With the offset of the camera's clock from UTC.")
    position = PositionSerializer(allow_null=True, required=False)
    is_hidden = serializers.BooleanField(required=False, help_text="From visitors. It takes `photos.moderate`.")
    tags = _tags("Exactly these.")


class ManyChangesSerializer(PhotoChangesSerializer):
    """Input: what is true of many photos."""

    tags = None
    add_tags = _tags("These, beside those that are there.")
    remove_tags = _tags("Not these.")
    shift_taken_at = serializers.IntegerField(
        min_value=-LARGEST_SHIFT_SECONDS,
        max_value=LARGEST_SHIFT_SECONDS,
        required=False,
        help_text="Seconds that the clock was slow: each photo's time is moved by so many. One that would leave the "
        "years 1 to 9999 stays.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a time that is set and moved."""
        if "shift_taken_at" in attrs and "taken_at" in attrs:
            raise serializers.ValidationError({"shift_taken_at": "Set the time, or move it."}, code=COMBINATION)
        return attrs


class SelectionSerializer(InputSerializer):
    """Input: photos, by their ids or by a filter."""

    photos = BoundedListField(
        child=serializers.UUIDField(), min_length=1, max_length=IDS_AT_MOST, required=False, help_text="Their ids."
    )
    filter = serializers.DictField(
        required=False, help_text="As the parameters of `GET photos`, without `trashed`; several values are a list."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Want one of both."""
        if ("photos" in attrs) == ("filter" in attrs):
            raise serializers.ValidationError("Either photos or filter.", code=COMBINATION)
        return attrs


class EditManySerializer(SelectionSerializer):
    """Input: what is said of which photos."""

    changes = ManyChangesSerializer()
    dry_run = serializers.BooleanField(default=False, help_text="Count, and change nothing.")


class FavouritesSerializer(SelectionSerializer):
    """Input: which photos are favourites of the caller's, or are none any more."""

    is_favourite = serializers.BooleanField()


class EditSerializer(serializers.ModelSerializer):
    """Output: an act. Wants `with_counts` of its QuerySet."""

    photo_count = serializers.IntegerField(read_only=True, help_text="Photos that it changed so far.")
    undone_by = serializers.SerializerMethodField(help_text="The edit that took it back.")

    class Meta:
        model = Edit
        fields = ("id", "library", "by", "created_at", "changes", "photo_count", "undoes", "undone_by")
        read_only_fields = fields

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_undone_by(self, edit: Edit) -> str | None:
        """Give its id."""
        undone_by = getattr(edit, "undone_by", None)
        return undone_by and str(undone_by.pk)


class EditedSerializer(serializers.Serializer):
    """Output: what an edit of many came to."""

    matched = serializers.IntegerField(help_text="Photos that were asked for.")
    edits = EditSerializer(
        many=True, help_text="One for each library with a change; what was so already is in none. Empty of a dry run."
    )


class UndoneSerializer(serializers.Serializer):
    """Output: what taking an edit back came to."""

    edit = EditSerializer(help_text="That which took it back, and can be taken back itself.")
    changed = serializers.IntegerField(help_text="Photos that are as they were before.")
    left = serializers.IntegerField(help_text="Photos of which something was changed since: that stays as it is.")


class MarkedSerializer(serializers.Serializer):
    """Output: what marking came to."""

    changed = serializers.IntegerField(help_text="Photos that were not so before.")


class RevisionSerializer(serializers.ModelSerializer):
    """Output: what an edit changed of a photo."""

    by = serializers.PrimaryKeyRelatedField(
        source="edit.by", read_only=True, allow_null=True, help_text="Who; null: nobody any more."
    )
    at = serializers.DateTimeField(source="edit.created_at", read_only=True)
    undoes = serializers.PrimaryKeyRelatedField(source="edit.undoes", read_only=True, allow_null=True)
    before = serializers.SerializerMethodField(help_text="What was shown, by field.")
    after = serializers.SerializerMethodField(help_text="What was shown then.")

    class Meta:
        model = Revision
        fields = ("edit", "by", "at", "undoes", "before", "after")
        read_only_fields = fields

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_before(self, revision: Revision) -> dict[str, Any]:
        """Give the old values."""
        return _shown(revision.before)

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_after(self, revision: Revision) -> dict[str, Any]:
        """Give the new values."""
        return _shown(revision.after)


def _shown(said: dict[str, Any]) -> dict[str, Any]:
    return {name: value["shown"] if isinstance(value, dict) else value for name, value in said.items()}
