"""Users, roles and memberships in the admin. Libraries are shown where their processing is known."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from accounts.admin_activation import ActivationActions
from accounts.admin_second_factor import SecondFactorActions
from accounts.models import Library, Membership, Role, User
from accounts.roles import Permission
from accounts.services import passwords

STAFF_FIELDS = ("is_staff", "is_superuser", "groups", "user_permissions")

# their pages show whole refresh tokens
for token in (BlacklistedToken, OutstandingToken):
    admin.site.unregister(token)
# rows that are changed by services alone; allauth's own pages would take a second factor away without a trace
for row in (Authenticator, EmailAddress, SocialAccount, SocialApp, SocialToken):
    admin.site.unregister(row)
# wears the old look
admin.site.unregister(Group)

_theme_password_change = admin.site.password_change


def change_own_password(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    """Show the theme's page. Its form writes the whole account: read here, so that one that is closed stays closed."""
    if request.method == "POST":
        # until the end of the transaction that each change of the admin runs in
        user = User.objects.select_for_update(no_key=True).filter(pk=request.user.pk, is_active=True).first()
        if user is None:
            raise PermissionDenied
        request.user = user
    return _theme_password_change(request, extra_context)


admin.site.password_change = change_own_password


class MembershipInline(TabularInline):
    """Who may do what in a library; on the page of either."""

    model = Membership
    extra = 0
    fields = ("library", "user", "role", "created_at")
    readonly_fields = ("created_at",)
    autocomplete_fields = ("library", "user", "role")
    tab = True
    # a library may have thousands of members
    per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        """Read the rows with the names that they show, of libraries that the user may see."""
        rows = super().get_queryset(request).filter(library__in=Library.objects.visible_to(request.user))
        return rows.select_related("library", "user", "role").order_by("-id")

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let those make members who may do so in that library; on the page of a user, superusers alone."""
        return _may_manage_members(request, obj) and super().has_add_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """As for adding them."""
        return _may_manage_members(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """As for adding them."""
        return _may_manage_members(request, obj) and super().has_delete_permission(request, obj)


def _may_manage_members(request: HttpRequest, obj: Model | None) -> bool:
    """Tell whether a user may change who belongs to what, on the page of `obj`: a library or a user."""
    if request.user.is_superuser:
        return True
    libraries = Library.objects.permitting(request.user, Permission.MANAGE_MEMBERS)
    return isinstance(obj, Library) and libraries.filter(pk=obj.pk).exists()


class PasswordForm(AdminPasswordChangeForm):
    """The password of somebody else."""

    def save(self, commit: bool = True) -> User:
        """Set it, or none."""
        password = self.cleaned_data["password1"] if self.cleaned_data["set_usable_password"] else None
        # whoever sets their own goes on with the session that they are in
        self.user = passwords.assign(user=self.user, password=password)
        return self.user


@admin.register(User)
class UserAdmin(ActivationActions, SecondFactorActions, DjangoUserAdmin, ModelAdmin):
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
    readonly_fields = ("is_active", "last_login", "date_joined")
    actions_detail = (*ActivationActions.actions_detail, *SecondFactorActions.actions_detail)
    inlines = (MembershipInline,)
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        (_("Access"), {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        (_("Dates"), {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "usable_password", "password1", "password2")}),)

    def get_inlines(self, request: HttpRequest, obj: User | None) -> list[type]:
        """Show the memberships of a user who is there."""
        return list(self.inlines) if obj else []

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Leave it to superusers who is staff and what staff may do."""
        return self.readonly_fields if request.user.is_superuser else (*self.readonly_fields, *STAFF_FIELDS)

    def save_model(self, request: HttpRequest, obj: User, form: forms.ModelForm, change: bool) -> None:
        """Write what was changed alone: an account that was closed since it was read stays closed."""
        if not change:
            super().save_model(request, obj, form, change)
            return
        columns = {field.name for field in User._meta.concrete_fields}
        obj.save(update_fields=[name for name in form.changed_data if name in columns])

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Let nobody change those who may do more, their passwords above all."""
        return _may_touch(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """As for changing them."""
        return _may_touch(request, obj) and super().has_delete_permission(request, obj)


def _may_touch(request: HttpRequest, obj: User | None) -> bool:
    return request.user.is_superuser or obj is None or obj == request.user or not (obj.is_staff or obj.is_superuser)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    """Sets of the admin's own permissions, for staff."""


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
class RoleAdmin(ModelAdmin):
    """What members may do in a library. The built-in roles are the same everywhere."""

    form = RoleForm
    list_display = ("name", "is_built_in", "permission_count", "member_count")
    search_fields = ("name",)
    ordering = ("-is_built_in", "name")
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Role]:
        """Roles, with the number of memberships that give them."""
        return super().get_queryset(request).annotate(members=Count("memberships"))

    def has_change_permission(self, request: HttpRequest, obj: Role | None = None) -> bool:
        """Nobody alters a built-in role."""
        return not _is_built_in(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Role | None = None) -> bool:
        """Nobody deletes a built-in role."""
        return not _is_built_in(obj) and super().has_delete_permission(request, obj)

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
