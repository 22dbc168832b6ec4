"""Users, roles and memberships in the admin. Libraries are shown where their processing is known."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext_lazy as _
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from unfold.decorators import display
from unfold.forms import UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from accounts.admin_activation import ActivationActions
from accounts.admin_base import CarefulAdmin
from accounts.admin_invitations import InvitationAdmin
from accounts.admin_members import MembershipInline, visible_users
from accounts.admin_passwords import PasswordForm, change_own_password
from accounts.admin_permissions import PermissionPicker
from accounts.admin_second_factor import SecondFactorActions
from accounts.models import Invitation, Role, User
from accounts.roles import Permission
from accounts.services import erasure, roles, social_accounts, users

# their pages show whole refresh tokens
for token in (BlacklistedToken, OutstandingToken):
    admin.site.unregister(token)
# rows that are changed by services alone; allauth's own pages would take a second factor away without a trace
for row in (Authenticator, EmailAddress, SocialAccount, SocialApp, SocialToken):
    admin.site.unregister(row)
# wears the old look
admin.site.unregister(Group)

admin.site.password_change = change_own_password


@admin.register(User)
class UserAdmin(ActivationActions, SecondFactorActions, PermissionPicker, CarefulAdmin, DjangoUserAdmin):
    """People who log in with an e-mail address. Whether an account opens anything is no field: that ends tokens too."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = PasswordForm
    list_display = ("email", "name", "is_active", "is_staff", "is_superuser", "last_login", "date_joined")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("email", "name")
    ordering = ("email",)
    autocomplete_fields = ("groups",)
    filter_horizontal = ("user_permissions",)
    readonly_fields = ("is_active", "last_login", "date_joined", "used", "accounts_elsewhere")
    actions_detail = (*ActivationActions.actions_detail, *SecondFactorActions.actions_detail)
    inlines = (MembershipInline,)
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        (_("Access"), {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        (_("Storage"), {"fields": ("quota_bytes", "used")}),
        (_("Dates"), {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "usable_password", "password1", "password2")}),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Accounts that the user may see."""
        return visible_users(request.user)

    def get_inlines(self, request: HttpRequest, obj: User | None) -> list[type]:
        """Show the memberships of a user who is there."""
        return list(self.inlines) if obj else []

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Show superusers what else somebody logs in with."""
        elsewhere = (_("Accounts elsewhere"), {"fields": ("accounts_elsewhere",)})
        fieldsets = super().get_fieldsets(request, obj)
        return (*fieldsets, elsewhere) if obj and request.user.is_superuser else fieldsets

    def save_model(self, request: HttpRequest, obj: User, form: forms.ModelForm, change: bool) -> None:
        """Write what was changed alone: an account that was closed since it was read stays closed."""
        if not change:
            super().save_model(request, obj, form, change)
            return
        columns = {field.name for field in User._meta.concrete_fields} & set(form.changed_data)
        changes = {name: form.cleaned_data[name] for name in columns}
        if form.changed_data:
            users.change(user=obj, changes=changes, actor=request.user, also=set(form.changed_data) - columns)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Leave it to superusers: others invite, and whoever is invited chooses the password."""
        return request.user.is_superuser and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Leave it to superusers: who sets an address or a password is that person, wherever they are a member."""
        return request.user.is_superuser and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Leave it to superusers to have an account erased."""
        return request.user.is_superuser and super().has_delete_permission(request, obj)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponseBase:  # noqa: A002
        """Set the password of somebody else; one's own takes the old one."""
        if unquote(id) == str(request.user.pk):
            return redirect("admin:password_change")
        return super().user_change_password(request, id, form_url)

    @display(description=_("used"))
    def used(self, user: User) -> str:
        """Bytes of the originals that the user uploaded, those in the trash too."""
        return filesizeformat(user.used_bytes)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[list, dict, set, list]:
        """Ask for no permission to delete each of the rows that go: the service erases them, or says why not."""
        to_delete, model_count, _needed, _protected = super().get_deleted_objects(objs, request)
        return to_delete, model_count, set(), []

    @display(description=_("linked"))
    def accounts_elsewhere(self, user: User) -> str:
        """The accounts of Google and the like that open this one, and since when."""
        found = social_accounts.shown(user=user)
        return "\n".join(f"{one.name or one.provider}, {one.linked_at:%Y-%m-%d %H:%M}" for one in found)

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        """Erase the account; its receipt stays."""
        erasure.forget_user(user=User.objects.get(pk=obj.pk), by=request.user)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Erase accounts one by one, so that each says why it cannot be."""
        return {name: one for name, one in super().get_actions(request).items() if name != "delete_selected"}

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Note nothing here: the trail has the act, without the name."""


admin.site.register(Invitation, InvitationAdmin)


@admin.register(Group)
class GroupAdmin(PermissionPicker, CarefulAdmin, DjangoGroupAdmin):
    """Sets of permissions in the admin, for staff. Superusers make them: staff could give themselves anything."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Superusers alone."""
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """Superusers alone."""
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """Superusers alone."""
        return request.user.is_superuser


class RoleForm(forms.ModelForm):
    """A role's permissions, each with a box."""

    permissions = forms.MultipleChoiceField(
        label=_("Permissions"),
        choices=Permission.choices,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )

    class Meta:
        model = Role
        fields = ("name", "permissions")


@admin.register(Role)
class RoleAdmin(CarefulAdmin):
    """What members may do in a library. The built-in roles are the same everywhere."""

    form = RoleForm
    list_display = ("name", "is_built_in", "permission_count", "member_count")
    search_fields = ("name",)
    ordering = ("-is_built_in", "name")
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Role]:
        """Roles, with the number of memberships that give them."""
        return super().get_queryset(request).annotate(members=Count("memberships"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Leave it to superusers: a role counts in every library."""
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Role | None = None) -> bool:
        """As for making one; nobody alters a built-in role."""
        return not _is_built_in(obj) and request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Role | None = None) -> bool:
        """As for making one; nobody deletes a built-in role."""
        return not _is_built_in(obj) and request.user.is_superuser

    def save_model(self, request: HttpRequest, obj: Role, form: forms.ModelForm, change: bool) -> None:
        """Make a role, or change it for all who hold it."""
        given = {name: form.cleaned_data[name] for name in ("name", "permissions")}
        if change:
            roles.change_role(role_id=obj.pk, **given, by=request.user)
        else:
            obj.pk = roles.create_role(**given, by=request.user).pk

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[list, dict, set, list]:
        """Ask for no permission to delete the answered invitations that go with a role: the service says why not."""
        to_delete, model_count, _needed, _protected = super().get_deleted_objects(objs, request)
        return to_delete, model_count, set(), []

    def delete_model(self, request: HttpRequest, obj: Role) -> None:
        """Delete a role that nobody holds."""
        roles.delete_role(role_id=obj.pk, by=request.user)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Role]) -> None:
        """Delete roles, all that were chosen or none of them."""
        for role_id in list(queryset.values_list("pk", flat=True)):
            roles.delete_role(role_id=role_id, by=request.user)

    def get_fields(self, request: HttpRequest, obj: Role | None = None) -> tuple[Any, ...]:
        """Say a built-in role's permissions in words."""
        return ("name", "permission_names") if _is_built_in(obj) else ("name", "permissions")

    def get_readonly_fields(self, request: HttpRequest, obj: Role | None = None) -> tuple[str, ...]:
        """The words are not a field."""
        return ("permission_names",) if _is_built_in(obj) else ()

    @display(description=_("permissions"))
    def permission_names(self, role: Role) -> str:
        """The permissions, in words."""
        return "\n".join(str(Permission(name).label) for name in role.permissions)

    @display(description=_("permissions"))
    def permission_count(self, role: Role) -> int:
        """How many permissions it gives."""
        return len(role.permissions)

    @display(description=_("members"))
    def member_count(self, role: Role) -> int:
        """How many memberships give it."""
        return role.members


def _is_built_in(role: Role | None) -> bool:
    return role is not None and role.is_built_in
