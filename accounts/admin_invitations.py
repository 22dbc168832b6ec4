"""Invitations in the admin: who was invited into what, inviting somebody, and taking it back."""

from datetime import date
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, ForeignKey, Model, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.contrib.filters.admin import RadioFilter
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminEmailInputWidget

from accounts.admin_base import CarefulAdmin
from accounts.admin_dialogs import act, dialog
from accounts.models import Invitation, InvitationState, Library, Membership, Role, User
from accounts.roles import BuiltInRole, Permission
from accounts.services import invitations

STATE_LABELS = {
    InvitationState.OPEN: "info",
    InvitationState.ACCEPTED: "success",
    InvitationState.REVOKED: "danger",
    InvitationState.RUN_OUT: "warning",
}


class InvitationForm(forms.ModelForm):
    """Whom to invite into which library, and as what.

    The address is a field of its own: the service writes it in lower case, and replaces an earlier invitation. Checked
    as the model's, both would be mistakes.
    """

    address = forms.EmailField(label=_("E-mail address"), max_length=254, widget=UnfoldAdminEmailInputWidget)


class InvitationStateFilter(RadioFilter):
    """Invitations in one state."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, object]]:
        """Offer every state."""
        return list(InvitationState.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> QuerySet[Invitation]:
        """Keep the invitations in the chosen state."""
        value = self.value()
        return queryset.filter(state=value) if value in InvitationState.values else queryset


class InvitationAdmin(CarefulAdmin):
    """Invitations are made and taken back; nobody edits or deletes them. The token is in the mail alone."""

    form = InvitationForm
    list_display = ("email", "shown_state", "library", "role", "invited_by", "created_on", "expires_on")
    list_select_related = ("library", "role", "invited_by")
    list_filter = (InvitationStateFilter,)
    list_filter_submit = True
    list_per_page = 50
    search_fields = ("email", "library__name")
    search_help_text = _("Address, or name of the library.")
    ordering = ("-id",)
    sortable_by = ()
    add_fields = ("library", "address", "role")
    fields = (
        "email", "state_in_words", "library", "role", "invited_by", "created_at", "expires_at", "accepted_at",
        "revoked_at",
    )  # fmt: skip
    readonly_fields = ("state_in_words", "created_at", "accepted_at", "revoked_at")
    actions = ("revoke_chosen",)
    actions_row = ("revoke",)
    actions_detail = ("revoke",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Invitation]:
        """Invitations into libraries whose members the user manages, with their states."""
        return Invitation.objects.manageable_by(request.user).with_state()

    def get_fields(self, request: HttpRequest, obj: Invitation | None = None) -> tuple[str, ...]:
        """Ask for what an invitation is made of."""
        return self.fields if obj else self.add_fields

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> forms.Field | None:
        """Offer what is there: a new library or role is made on pages of their own."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        for name in ("add", "change", "delete", "view"):
            setattr(field.widget, f"can_{name}_related", False)
        return field

    def formfield_for_foreignkey(
        self, db_field: ForeignKey, request: HttpRequest, **kwargs: Any
    ) -> forms.ModelChoiceField | None:
        """Offer the libraries whose members the user manages, and the roles that they may give in one of them."""
        if db_field.name == "library":
            kwargs["queryset"] = managed_libraries(request.user).order_by("name")
        elif db_field.name == "role":
            kwargs["queryset"] = givable_roles(request.user).order_by("-is_built_in", "name")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Begin with a visitor, and with the library that the address names."""
        visitor = Role.objects.filter(name=BuiltInRole.VISITOR).first()
        return {"role": visitor, **super().get_changeform_initial_data(request)}

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody edits these: another invitation takes the place of one."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody deletes these: what was revoked stays to be seen."""
        return False

    def has_revoke_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whether the user may change invitations; which of them, their role in the library says."""
        return request.user.has_perm("accounts.change_invitation")

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Show the form or invite, for those who manage the members of some library; nothing is to be edited then."""
        # asked here: every page of the admin asks who may add what, to list the models
        if not request.user.is_superuser and not managed_libraries(request.user).exists():
            raise PermissionDenied(Permission.MANAGE_MEMBERS)
        return super().add_view(request, form_url, {**(extra_context or {}), "show_save_and_continue": False})

    def save_model(self, request: HttpRequest, obj: Invitation, form: forms.ModelForm, change: bool) -> None:
        """Invite. The mail follows the commit of what the admin does in one transaction, and so does the message."""
        given = form.cleaned_data
        obj.pk = invitations.invite_on_commit(
            actor=request.user,
            library=given["library"],
            email=given["address"],
            role=given["role"].name,
            tell=partial(_say, request),
        ).pk

    def response_add(self, request: HttpRequest, obj: Invitation, post_url_continue: str | None = None) -> HttpResponse:
        """Go on to the list, or to the next one, without a word: it is said when the mail is sent."""
        if "_addanother" in request.POST:
            return HttpResponseRedirect(request.get_full_path())
        return self.response_post_save_add(request, obj)

    def log_addition(self, request: HttpRequest, obj: Invitation, message: Any) -> None:
        """Note nothing here: the trail has the act, without the address."""

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer to revoke what can be accepted."""
        invitation = self.get_object(request, object_id)
        is_open = invitation is not None and invitation.state == InvitationState.OPEN
        return super().get_actions_detail(request, object_id) if is_open else []

    @action(
        description=_("Revoke"),
        icon="link_off",
        permissions=["revoke"],
        dialog=dialog(
            title=_("Revoke this invitation?"),
            description=_("What was sent by mail is worth nothing from then on. Another one may be sent."),
            submit=_("Revoke"),
        ),
    )
    def revoke(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Take one back."""
        invitation, done = self.existing(request, object_id), _("The invitation is worth nothing any more.")
        return act(request, lambda: invitations.revoke(actor=request.user, invitation=invitation), done=done)

    @action(description=_("Revoke invitations"), permissions=["revoke"])
    def revoke_chosen(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> None:
        """Take the chosen ones back that are open."""
        count = invitations.revoke_open(actor=request.user, ids=queryset.values_list("pk", flat=True))
        if count:
            said = ngettext("%d invitation is revoked.", "%d invitations are revoked.", count) % count
            messages.success(request, said)
        else:
            messages.warning(request, _("None of these was open."))

    @display(description=_("state"), label=STATE_LABELS)
    def shown_state(self, invitation: Invitation) -> tuple[str, str]:
        """Whether it can be accepted now."""
        return invitation.state, self.state_in_words(invitation)

    @display(description=_("state"))
    def state_in_words(self, invitation: Invitation) -> str:
        """Whether it can be accepted now."""
        return str(InvitationState(invitation.state).label)

    @display(description=_("created"))
    def created_on(self, invitation: Invitation) -> date:
        """The day: a list has no room for more."""
        return timezone.localdate(invitation.created_at)

    @display(description=_("expires"))
    def expires_on(self, invitation: Invitation) -> date:
        """The day, as above."""
        return timezone.localdate(invitation.expires_at)


def managed_libraries(user: User) -> QuerySet[Library]:
    """Give the libraries into which somebody may invite."""
    return Library.objects.permitting(user, Permission.MANAGE_MEMBERS)


def givable_roles(user: User) -> QuerySet[Role]:
    """Give the roles that allow no more than somebody may do in a library whose members they manage.

    In which of these libraries, the service says.
    """
    if user.is_superuser:
        return Role.objects.all()
    own = Membership.objects.filter(user=user, library__in=managed_libraries(user))
    return Role.objects.filter(Exists(own.filter(role__permissions__contains=OuterRef("permissions"))))


def _say(request: HttpRequest, sent: invitations.SentInvitation) -> None:
    """Say whether the mail server has taken the mail, and if not, what to do."""
    email = sent.invitation.email
    if sent.mail_sent:
        messages.success(request, _("The invitation is on its way to %(email)s.") % {"email": email})
        return
    said = _("%(email)s is invited, but the mail was not sent: invite once more, in place of this invitation.")
    messages.warning(request, said % {"email": email})
