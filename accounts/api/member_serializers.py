"""What the API takes and gives about roles and members."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.inputs import InputSerializer
from accounts.api.promises.fields import SparseFieldsMixin
from accounts.models import Membership, Role
from accounts.roles import Permission


class PermissionSerializer(serializers.Serializer):
    """Output: a permission, and what it is in words."""

    name = serializers.ChoiceField(choices=Permission.choices)
    label = serializers.CharField()


class RoleSerializer(SparseFieldsMixin, serializers.ModelSerializer):
    """Output: a role, and what it allows."""

    permissions = serializers.SerializerMethodField()

    class Meta:
        model = Role
        fields = ("id", "name", "is_built_in", "permissions")
        read_only_fields = fields

    @extend_schema_field(PermissionSerializer(many=True))
    def get_permissions(self, role: Role) -> list[dict[str, Any]]:
        """Give each permission with its label, in the order of all permissions."""
        held = (one for one in Permission if one in role.permissions)
        return PermissionSerializer([{"name": one.value, "label": one.label} for one in held], many=True).data


class MemberSerializer(SparseFieldsMixin, serializers.ModelSerializer):
    """Output: a member, and the role. Wants the rows with `user` and `role`."""

    user = serializers.UUIDField(source="user_id", help_text="The key of the account.")
    email = serializers.EmailField(source="user.email")
    name = serializers.CharField(source="user.name")
    is_active = serializers.BooleanField(source="user.is_active", help_text="False: the account was deactivated.")
    role = serializers.CharField(source="role.name")

    class Meta:
        model = Membership
        fields = ("user", "email", "name", "is_active", "role", "created_at")
        read_only_fields = fields


class RoleField(serializers.SlugRelatedField):
    """A role by its name."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(slug_field="name", queryset=Role.objects.all(), help_text="Name of a role.", **kwargs)


class ChangeMemberSerializer(InputSerializer):
    """Input: what a member may do from now on."""

    role = RoleField()


class NewMemberSerializer(InputSerializer):
    """Input: who becomes a member, and as what."""

    email = serializers.EmailField(help_text="The address that somebody's account logs in with.")
    role = RoleField(required=False)
