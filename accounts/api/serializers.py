"""What the API takes and gives about accounts."""

from rest_framework import serializers

from accounts.models import ErasureReceipt, Library, User
from accounts.roles import Permission


class RefreshSerializer(serializers.Serializer):
    """Input: a refresh token."""

    refresh = serializers.CharField()


class TokenPairSerializer(serializers.Serializer):
    """Output: a short-lived access token, and the refresh token that gets the next pair, once."""

    access = serializers.CharField()
    refresh = serializers.CharField()


class OwnAccountSerializer(serializers.ModelSerializer):
    """Output: the account that asks."""

    used_bytes = serializers.IntegerField(read_only=True, help_text="Of originals that you uploaded, trash included.")

    class Meta:
        model = User
        fields = ("id", "email", "name", "is_staff", "is_superuser", "date_joined", "quota_bytes", "used_bytes")
        read_only_fields = fields


class LibrarySerializer(serializers.ModelSerializer):
    """Output: a library, and what the caller may do in it. Wants `LibraryQuerySet.with_own_role`."""

    used_bytes = serializers.IntegerField(read_only=True, help_text="Of originals, those in the trash too.")
    own_role = serializers.CharField(
        allow_null=True, read_only=True, help_text="Name of your role; null if you are not a member (a superuser)."
    )
    own_permissions = serializers.ListField(
        child=serializers.ChoiceField(choices=Permission.choices), read_only=True, help_text="What you may do."
    )

    class Meta:
        model = Library
        fields = (
            "id",
            "name",
            "created_at",
            "face_analysis",
            "face_analysis_changed_at",
            "face_analysis_consent_version",
            "quota_bytes",
            "used_bytes",
            "own_role",
            "own_permissions",
        )
        read_only_fields = fields


class ErasureReceiptSerializer(serializers.ModelSerializer):
    """Output: what was erased, by whom, when, and how much of what."""

    counts = serializers.DictField(child=serializers.IntegerField(), read_only=True, help_text="How many of what went.")

    class Meta:
        model = ErasureReceipt
        fields = ("id", "kind", "subject_id", "library_id", "requested_by", "begun_at", "ended_at", "counts")
        read_only_fields = fields
        extra_kwargs = {
            "ended_at": {"help_text": "Null while it is under way."},
            "requested_by": {"help_text": "The account's id; null where it was asked for on the server."},
        }


class OwnErasureSerializer(serializers.Serializer):
    """Input: the password, once more."""

    password = serializers.CharField(trim_whitespace=False)
