"""What the API takes and gives about second factors."""

from rest_framework import serializers

from accounts.api.inputs import InputSerializer
from accounts.api.serializers import PASSWORD_MAX_LENGTH, CodeField, PasswordField, TokenPairSerializer


class SecondFactorStateSerializer(serializers.Serializer):
    """Output: whether the account has a second factor."""

    enabled = serializers.BooleanField()
    required = serializers.BooleanField(help_text="Whether the account opens nothing without one.")
    enabled_at = serializers.DateTimeField(allow_null=True)
    recovery_codes_left = serializers.IntegerField(help_text="How many are unused.")


class OwnPasswordSerializer(InputSerializer):
    """Input: the password of who is logged in."""

    password = PasswordField(
        max_length=PASSWORD_MAX_LENGTH, allow_blank=True, help_text="Empty for an account without a password."
    )


class PasswordAndCodeSerializer(OwnPasswordSerializer):
    """Input: the password and a code of who is logged in."""

    code = CodeField()


class EnrolmentSerializer(serializers.Serializer):
    """Output: what an authenticator is told. It is not given again."""

    secret = serializers.CharField(help_text="In base32, for who types it.")
    uri = serializers.CharField(help_text="The same as an otpauth URI, to be shown as a QR code.")
    enrolment = serializers.CharField(help_text="To be given back with the first code, within 15 minutes.")


class ConfirmEnrolmentSerializer(InputSerializer):
    """Input: what the enrolment was begun with, and the code that the authenticator shows now."""

    enrolment = serializers.CharField(max_length=1024)
    code = CodeField()


class RecoveryCodesSerializer(serializers.Serializer):
    """Output: codes for a lost phone, each of which works once. They are not given again."""

    recovery_codes = serializers.ListField(child=serializers.CharField())


class SecondFactorEnabledSerializer(RecoveryCodesSerializer):
    """Output: recovery codes, and a pair in place of the tokens that have ended."""

    pair = TokenPairSerializer()
