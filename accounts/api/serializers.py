"""What the API takes and gives about accounts."""

from rest_framework import serializers

from accounts.api.inputs import InputSerializer
from accounts.api.promises.fields import SparseFieldsMixin
from accounts.models import AuditEvent, ErasureReceipt, Invitation, Library, Membership, User
from accounts.roles import BuiltInRole, Permission

# hashing takes time by its length
PASSWORD_MAX_LENGTH = 1024


class PasswordField(serializers.CharField):
    """A password as it was typed, blanks at its ends too."""

    def __init__(self, **options: object) -> None:
        super().__init__(trim_whitespace=False, style={"input_type": "password"}, **options)


class CodeField(serializers.CharField):
    """A code of a second factor: the phone's, or a recovery code."""

    def __init__(self, **options: object) -> None:
        super().__init__(max_length=32, **options)


class CredentialsSerializer(InputSerializer):
    """Input: what somebody logs in with."""

    email = serializers.CharField()
    password = PasswordField()
    code = CodeField(required=False, allow_blank=True, help_text="Of the second factor, where there is one.")


class AuditEventSerializer(SparseFieldsMixin, serializers.ModelSerializer):
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


class RefreshSerializer(InputSerializer):
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


class OwnNameSerializer(InputSerializer):
    """Input: what somebody wants to be called."""

    name = serializers.CharField(max_length=150, allow_blank=True)


class PasswordChangeSerializer(InputSerializer):
    """Input: the password that is, and the one that shall be."""

    old_password = PasswordField()
    new_password = PasswordField(max_length=PASSWORD_MAX_LENGTH)


class PasswordResetSerializer(InputSerializer):
    """Input: the address of an account whose password was forgotten."""

    email = serializers.EmailField(max_length=254)


class PasswordResetConfirmSerializer(InputSerializer):
    """Input: a token from a mail, and a new password."""

    token = serializers.CharField()
    password = PasswordField(max_length=PASSWORD_MAX_LENGTH)


class InviteSerializer(InputSerializer):
    """Input: whom to invite, and as what."""

    email = serializers.EmailField(max_length=254)
    role = serializers.CharField(max_length=64, default=BuiltInRole.VISITOR.value, help_text="Name of a role.")


class InvitationSerializer(SparseFieldsMixin, serializers.ModelSerializer):
    """Output: an invitation. Its token is in the mail alone."""

    role = serializers.CharField(source="role.name")
    invited_by = serializers.CharField(source="invited_by.email", help_text="Address of whoever invited.")

    class Meta:
        model = Invitation
        fields = ("id", "email", "role", "invited_by", "created_at", "expires_at")
        read_only_fields = fields


class SentInvitationSerializer(serializers.Serializer):
    """Output: an invitation, and what came of its mail."""

    invitation = InvitationSerializer()
    mail_sent = serializers.BooleanField(help_text="Whether the mail server has taken the mail by now.")


class AcceptInvitationSerializer(InputSerializer):
    """Input: a token from a mail; for a new account its name and password, too."""

    token = serializers.CharField()
    name = serializers.CharField(max_length=150, default="", allow_blank=True)
    password = PasswordField(max_length=PASSWORD_MAX_LENGTH, default="", allow_blank=True)


class AcceptedInvitationSerializer(serializers.ModelSerializer):
    """Output: what was joined."""

    role = serializers.CharField(source="role.name")

    class Meta:
        model = Membership
        fields = ("library", "role")
        read_only_fields = fields


class LibrarySerializer(SparseFieldsMixin, serializers.ModelSerializer):
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


class ErasureReceiptSerializer(SparseFieldsMixin, serializers.ModelSerializer):
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


class OwnErasureSerializer(InputSerializer):
    """Input: the password, once more, and a code of the second factor."""

    password = PasswordField(
        max_length=PASSWORD_MAX_LENGTH, allow_blank=True, help_text="Empty for an account without a password."
    )
    code = CodeField(
        required=False, allow_blank=True, default="", help_text="Of the second factor, where there is one."
    )
