"""Members in the admin: on the page of a library, and on that of a user."""

from typing import Any

from django import forms
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from unfold.admin import TabularInline
from unfold.forms import PaginationInlineFormSet

from accounts.models import Library, Membership, User
from accounts.roles import Permission
from accounts.services import members


class MembershipForm(forms.ModelForm):
    """A row. Of one that is there the role alone changes: another member is another row."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if kwargs.get("instance") is not None:
            for name in {"library", "user"} & self.fields.keys():
                self.fields[name].disabled = True


class MembershipFormSet(PaginationInlineFormSet):
    """Writes rows by the service, as whom `acting` is; what it does not allow is raised, and nothing is written."""

    acting: User

    def save(self, commit: bool = True) -> list[Membership]:
        """Add first: a new admin may come in the place of the last one."""
        self.new_objects = []
        added = self.save_new_objects(commit)
        return [*self.save_existing_objects(commit), *added]

    def save_new(self, form: forms.ModelForm, commit: bool = True) -> Membership:
        """Add a member."""
        row = form.instance
        return members.add(library=row.library, user=row.user, role=form.cleaned_data["role"], by=self.acting)

    def save_existing(self, form: forms.ModelForm, obj: Membership, commit: bool = True) -> Membership:
        """Give another role."""
        role = form.cleaned_data["role"]
        return members.change_role(library=obj.library, user_id=obj.user_id, role=role, by=self.acting)

    def delete_existing(self, obj: Membership, commit: bool = True) -> None:
        """Remove a member."""
        members.remove(library=obj.library, user_id=obj.user_id, by=self.acting)


class MembershipInline(TabularInline):
    """Who may do what in a library; on the page of either."""

    model = Membership
    form = MembershipForm
    formset = MembershipFormSet
    extra = 0
    fields = ("library", "user", "role", "created_at")
    readonly_fields = ("created_at",)
    autocomplete_fields = ("library", "user", "role")
    tab = True
    # a library may have thousands of members
    per_page = 50

    def get_formset(self, request: HttpRequest, obj: Model | None = None, **kwargs: Any) -> type[MembershipFormSet]:
        """Let it know who acts."""
        formset = super().get_formset(request, obj, **kwargs)
        formset.acting = request.user
        return formset

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        """Read the rows with the names that they show, of libraries whose members the user manages, and their own."""
        managed = Library.objects.permitting(request.user, Permission.MANAGE_MEMBERS)
        rows = super().get_queryset(request).filter(Q(library__in=managed) | Q(user=request.user))
        return rows.select_related("library", "user", "role").order_by("-id")

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Who the members are is told to those who manage them."""
        is_told = not isinstance(obj, Library) or may_manage_members(request, obj)
        return is_told and super().has_view_permission(request, obj)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let those make members who may do so in that library; on the page of a user, superusers alone."""
        return may_manage_members(request, obj) and super().has_add_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """As for adding them."""
        return may_manage_members(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """As for adding them."""
        return may_manage_members(request, obj) and super().has_delete_permission(request, obj)


def may_manage_members(request: HttpRequest, obj: Model | None) -> bool:
    """Tell whether a user may change who belongs to what, on the page of `obj`: a library or a user."""
    if request.user.is_superuser:
        return True
    libraries = Library.objects.permitting(request.user, Permission.MANAGE_MEMBERS)
    return isinstance(obj, Library) and libraries.filter(pk=obj.pk).exists()


def visible_users(user: User) -> QuerySet[User]:
    """Give the accounts that somebody of the staff sees: themselves, and the members whom they manage."""
    if user.is_superuser:
        return User.objects.all()
    managed = Library.objects.permitting(user, Permission.MANAGE_MEMBERS)
    return User.objects.filter(Q(pk=user.pk) | Q(pk__in=_members(library__in=managed)))


def _members(**conditions: object) -> QuerySet:
    return Membership.objects.filter(**conditions).values("user_id")
