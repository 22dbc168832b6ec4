"""What the API takes and gives about accounts."""

from rest_framework import serializers

from accounts.models import AuditEvent, Library, User
from accounts.roles import Permission


class AuditEventSerializer(serializers.ModelSerializer):
    """Output: an event of the audit trail. People, keys and subjects are named by id; what they were may be gone."""

    class Meta:
        model = AuditEvent
        fields = (
            "id",
            "at",
            "action",
            "actor_id",
            "key_id",
            "library_id",
            "subject_type",
            "subject_id",
            "address",
            "details",
            "sequence",
            "hash",
        )
        read_only_fields = fields


class RefreshSerializer(serializers.Serializer):
    """Input: a refresh token."""

    refresh = serializers.CharField()


class TokenPairSerializer(serializers.Serializer):
    """Output: a short-lived access token, and the refresh token that gets the next pair, once."""

    access = serializers.CharField()
    refresh = serializers.CharField()


class OwnAccountSerializer(serializers.ModelSerializer):
    """Output: the account that asks."""

    class Meta:
        model = User
        fields = ("id", "email", "name", "is_staff", "is_superuser", "date_joined")
        read_only_fields = fields


class LibrarySerializer(serializers.ModelSerializer):
    """Output: a library, and what the caller may do in it. Wants `LibraryQuerySet.with_own_role`."""

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
            "own_role",
            "own_permissions",
        )
        read_only_fields = fields
