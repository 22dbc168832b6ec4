"""The second factor in the admin: its code at the login, the page that sets it up, and taking away somebody else's."""

import base64
from typing import Any

from allauth.mfa.adapter import get_adapter
from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from unfold.decorators import action
from unfold.forms import AuthenticationForm, BaseDialogForm
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from accounts import sessions
from accounts.admin_dialogs import act, dialog
from accounts.api.throttles import LoginThrottle
from accounts.models import User
from accounts.problems import DomainError
from accounts.second_factor_gate import ENROLMENT_PAGE
from accounts.services import second_factor

CODE_MAX_LENGTH = 32
_CODE_ATTRS = {"autocomplete": "one-time-code", "inputmode": "numeric", "spellcheck": "false"}


class CodeField(forms.CharField):
    """A code of a phone, or a recovery code."""

    def __init__(self, **options: Any) -> None:
        widget = UnfoldAdminTextInputWidget(attrs=dict(_CODE_ATTRS))
        super().__init__(label=_("Code"), max_length=CODE_MAX_LENGTH, widget=widget, **options)


class OwnPasswordField(forms.CharField):
    """The password of who is logged in, as it was typed."""

    def __init__(self, **options: Any) -> None:
        widget = UnfoldAdminPasswordWidget(attrs={"autocomplete": "current-password"})
        super().__init__(label=_("Password"), strip=False, max_length=1024, widget=widget, **options)


class LoginForm(AuthenticationForm):
    """Address, password, and the code of who has a second factor."""

    code = CodeField(required=False, help_text=_("Only if you have set up a second factor."))

    def confirm_login_allowed(self, user: User) -> None:
        """Raise ValidationError unless a user whose password is right may come in."""
        super().confirm_login_allowed(user)
        try:
            second_factor.check(user=user, code=self.cleaned_data.get("code", ""), request=self.request)
        except DomainError as error:
            raise forms.ValidationError(error.detail, code=error.code) from error


class BeginForm(forms.Form):
    """What shows that it is the owner who sets up a second factor."""

    password = OwnPasswordField(required=False)


class ConfirmForm(forms.Form):
    """The first code, and what the enrolment was begun with."""

    enrolment = forms.CharField(max_length=1024, widget=forms.HiddenInput)
    code = CodeField()


class ChangeForm(forms.Form):
    """What taking a second factor away needs, and making new recovery codes."""

    password = OwnPasswordField(required=False)
    code = CodeField()


def urls() -> list[URLPattern]:
    """Give the address of the page, below that of the admin."""
    return [path("second-factor/", admin.site.admin_view(page), name=ENROLMENT_PAGE)]


@sensitive_post_parameters("password", "code", "enrolment")
def page(request: HttpRequest) -> HttpResponse:
    """Show one's own second factor, and do what was asked for."""
    handlers = {"begin": _begin, "confirm": _confirm, "disable": _disable, "recovery_codes": _renew}
    act = handlers.get(request.POST.get("action", "")) if request.method == "POST" else None
    if act is None:
        return _show(request)
    standing = LoginThrottle.attempt(request)
    if standing is not None and not standing.is_within:
        messages.error(request, _("These were too many attempts: try again in %d s.") % standing.seconds_left)
        return _show(request)
    try:
        return act(request)
    except DomainError as error:
        messages.error(request, error.detail)
        return _show(request)


def _begin(request: HttpRequest) -> HttpResponse:
    form = BeginForm(request.POST)
    if not form.is_valid():
        return _show(request, begin_form=form)
    begun = second_factor.begin(user=request.user, password=form.cleaned_data["password"])
    form = ConfirmForm(initial={"enrolment": begun.enrolment})
    return _show(request, confirm_form=form, secret=begun.secret, qr_code=_qr_code(begun.uri))


def _confirm(request: HttpRequest) -> HttpResponse:
    form = ConfirmForm(request.POST)
    if not form.is_valid():
        return _show(request, confirm_form=form)
    try:
        enabled = second_factor.confirm(user=request.user, **form.cleaned_data)
    except second_factor.CodeWrongError as error:
        # the phone has the secret by now
        form.add_error("code", error.detail)
        return _show(request, confirm_form=form)
    sessions.keep(request, user=enabled.user)
    messages.success(request, _("Your second factor works from now on. All other sessions have ended."))
    return _show(request, recovery_codes=enabled.recovery_codes)


def _disable(request: HttpRequest) -> HttpResponse:
    form = ChangeForm(request.POST)
    if not form.is_valid():
        return _show(request, change_form=form)
    sessions.keep(request, user=second_factor.disable(user=request.user, **form.cleaned_data))
    messages.success(request, _("Your second factor is gone. All other sessions have ended."))
    return HttpResponseRedirect(reverse(f"admin:{ENROLMENT_PAGE}"))


def _renew(request: HttpRequest) -> HttpResponse:
    form = ChangeForm(request.POST)
    if not form.is_valid():
        return _show(request, change_form=form)
    return _show(request, recovery_codes=second_factor.renew_recovery_codes(user=request.user, **form.cleaned_data))


def _show(request: HttpRequest, **shown: Any) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": _("Second factor"),
        "state": second_factor.state(user=request.user),
        "begin_form": BeginForm(),
        "change_form": ChangeForm(),
        **shown,
    }
    # with secrets and recovery codes it is on no browser's disk: pages of the admin are not cached
    return TemplateResponse(request, "admin/second_factor/page.html", context)


def _qr_code(uri: str) -> str:
    """Draw a QR code, as the address of an image that carries itself."""
    drawn = base64.b64encode(get_adapter().build_totp_svg(uri).encode()).decode()
    return f"data:image/svg+xml;base64,{drawn}"


class SecondFactorActions:
    """An action of a user's page: superusers take away the second factor of who has lost it."""

    actions_detail = ("reset_second_factor",)

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer it where there is something to take away."""
        actions = super().get_actions_detail(request, object_id)
        user = self.get_object(request, object_id)
        if user is not None and user != request.user and request.user.is_superuser and user.has_second_factor:
            return actions
        return [one for one in actions if not one.action_name.endswith("_reset_second_factor")]

    def has_second_factor_permission(self, request: HttpRequest, _object_id: object = None) -> bool:
        """Superusers alone."""
        return request.user.is_superuser

    @action(
        description=_("Reset second factor"),
        icon="phonelink_erase",
        permissions=["second_factor"],
        dialog=dialog(
            title=_("Take away the second factor of this account?"),
            description=_(
                "Do so only for somebody whom you know to have asked. The password alone opens the account then. All "
                "sessions and tokens end."
            ),
            submit=_("Take away"),
            is_destructive=True,
        ),
    )
    def reset_second_factor(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Take it away."""
        user = self.existing(request, object_id)
        done = _("The second factor is gone.")
        return act(request, lambda: second_factor.reset(user=user, actor=request.user), done=done)
