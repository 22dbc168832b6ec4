"""Passwords in the admin: one's own, and that of somebody else."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.views import PasswordChangeView
from django.forms import ValidationError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from unfold.forms import AdminOwnPasswordChangeForm, AdminPasswordChangeForm

from accounts.models import User
from accounts.problems import DomainError, InvalidValueError
from accounts.services import passwords


class OwnPasswordForm(AdminOwnPasswordChangeForm):
    """One's own password: what is wrong is told to the trail, and what changes ends all other logins."""

    def clean_old_password(self) -> str:
        """Look at the old one, where there is one."""
        old_password: str = self.cleaned_data["old_password"]
        try:
            passwords.require_own(user=self.user, password=old_password, way="password_change")
        except InvalidValueError as error:
            raise ValidationError(self.error_messages["password_incorrect"], code="password_incorrect") from error
        return old_password

    def save(self, commit: bool = True) -> User:
        """Change it; the session that asks goes on as the account is then."""
        changed = passwords.change(
            user=self.user,
            old_password=self.cleaned_data["old_password"],
            new_password=self.cleaned_data["new_password1"],
            wants_pair=False,
        )
        self.user = changed.user
        return self.user


class PasswordForm(AdminPasswordChangeForm):
    """The password of somebody else."""

    def save(self, commit: bool = True) -> User:
        """Set it, or none."""
        password = self.cleaned_data["password1"] if self.cleaned_data["set_usable_password"] else None
        # whoever sets their own goes on with the session that they are in
        self.user = passwords.assign(user=self.user, password=password)
        return self.user


def change_own_password(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
    """Show the theme's page, with our form. Its limit of attempts is that of logging in."""
    request.current_app = admin.site.name
    view = PasswordChangeView.as_view(
        form_class=OwnPasswordForm,
        success_url=reverse("admin:password_change_done"),
        extra_context={**admin.site.each_context(request), **(extra_context or {})},
    )
    try:
        return view(request)
    except DomainError as error:
        messages.error(request, error.detail)
        return redirect("admin:password_change")
