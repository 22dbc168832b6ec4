"""Libraries in the admin: their members, and the switch of face analysis."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from accounts import admin_permissions, consent_text
from accounts.admin_dialogs import act, dialog
from accounts.admin_members import MembershipInline
from accounts.models import ConsentRecord, Library
from accounts.roles import Permission
from accounts.services.libraries import change_library, create_library
from gallery.admin.base import LargeListAdmin
from gallery.admin.erasures import FORGET_FACES, FORGET_LIBRARY, ConsentForm, NameForm, erase
from gallery.admin.visibility import may
from processing.face_work import face_work
from processing.models import LibraryRun
from processing.services import forgetting
from processing.services.face_analysis import switch_face_analysis

admin_permissions.also_offer("accounts.consentrecord")


class ConsentInline(TabularInline):
    """The last turns of a library's switch, for those who may turn it."""

    model = ConsentRecord
    verbose_name_plural = _("consent to face analysis")
    fields = ("at", "enabled", "by", "text_version")
    readonly_fields = fields
    tab = True
    hide_title = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[ConsentRecord]:
        """Newest first, with who it was."""
        return super().get_queryset(request).history().select_related("by")

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Show them to whom the API tells them."""
        is_told = obj is None or may(request.user, Permission.SWITCH_FACE_ANALYSIS, library_id=obj.pk)
        return is_told and super().has_view_permission(request, obj)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody adds these by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody edits these by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody deletes these by hand."""
        return False


@admin.register(Library)
class LibraryAdmin(LargeListAdmin):
    """Libraries are made and named here; they do not go by deleting a row."""

    list_display = ("name", "face_analysis", "face_analysis_changed_at", "created_at")
    search_fields = ("name",)
    sortable_by = ("name",)
    fields = (
        "name", "created_at", "face_analysis", "face_analysis_changed_at", "face_analysis_changed_by",
        "face_analysis_consent_version", "erasure", "planning", "quota_bytes", "used",
    )  # fmt: skip
    readonly_fields = (*fields[1:-2], "used")
    actions_detail = ("invite", "switch_on", "switch_off", "forget_faces", "forget")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Library]:
        """Libraries that the user may see."""
        return Library.objects.visible_to(request.user)

    def get_fields(self, request: HttpRequest, obj: Library | None = None) -> tuple[str, ...]:
        """Ask for no more than a name at first."""
        return self.fields if obj else ("name",)

    def get_inlines(self, request: HttpRequest, obj: Library | None) -> list[type]:
        """Show the members of a library that is there, and who consented to face analysis."""
        return [MembershipInline, ConsentInline] if obj else []

    def has_change_permission(self, request: HttpRequest, obj: Library | None = None) -> bool:
        """Let those rename a library who may do so in it, and those see its form who manage its members."""
        wanted = (Permission.EDIT_LIBRARY, Permission.MANAGE_MEMBERS)
        is_allowed = obj is None or any(may(request.user, one, library_id=obj.pk) for one in wanted)
        return is_allowed and super().has_change_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Library | None = None) -> tuple[str, ...]:
        """Keep the name from those who manage members alone, and the quota from all but superusers."""
        is_allowed = obj is None or may(request.user, Permission.EDIT_LIBRARY, library_id=obj.pk)
        kept = () if is_allowed else ("name",)
        # how much a library may have is for whoever pays for the disks
        return (*self.readonly_fields, *kept, *(() if request.user.runs_installation else ("quota_bytes",)))

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Erasing a library is more than deleting a row."""
        return False

    def save_model(self, request: HttpRequest, obj: Library, form: forms.ModelForm, change: bool) -> None:
        """Make the library, with its maker as its first member, or change what was changed in the form."""
        if change:
            change_library(library_id=obj.pk, changes={name: form.cleaned_data[name] for name in form.changed_data})
            return
        obj.pk = create_library(name=obj.name, admin=request.user).pk
        obj.refresh_from_db()

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer to invite, the position that the switch is not in, and what the user may have erased."""
        library = self.get_object(request, object_id)
        if library is None:
            return []
        wanted = ["invite"] if may(request.user, Permission.MANAGE_MEMBERS, library_id=library.pk) else []
        if may(request.user, Permission.SWITCH_FACE_ANALYSIS, library_id=library.pk):
            wanted += ["switch_off" if library.face_analysis else "switch_on", "forget_faces"]
        if may(request.user, *forgetting.LIBRARY_TAKES, library_id=library.pk):
            wanted.append("forget")
        offered = super().get_actions_detail(request, object_id)
        return [one for one in offered if one.action_name.endswith(tuple(wanted))]

    @action(description=_("Invite"), icon="person_add", permissions=["invite"])
    def invite(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Go on to the form that invites somebody into this library."""
        library = self.existing(request, object_id)
        if not may(request.user, Permission.MANAGE_MEMBERS, library_id=library.pk):
            raise PermissionDenied(Permission.MANAGE_MEMBERS)
        return redirect(f"{reverse('admin:accounts_invitation_add')}?library={library.pk}")

    @action(
        description=_("Switch face analysis on"),
        icon="familiar_face_and_zone",
        permissions=["switch"],
        dialog=dialog(
            title=_("Switch face analysis on?"),
            description=consent_text.TEXT,
            submit=_("Switch on"),
            form_class=ConsentForm,
        ),
    )
    def switch_on(self, request: HttpRequest, form: ConsentForm, object_id: str) -> HttpResponse:
        """Switch face analysis on."""
        library, version = self._switchable(request, object_id), form.cleaned_data["consent_version"]
        return act(
            request,
            lambda: switch_face_analysis(library=library, enabled=True, by=request.user, consent_version=version),
            done=_("Face analysis is on; the photos that are there are planned in the background."),
        )

    @action(
        description=_("Switch face analysis off"),
        icon="visibility_off",
        permissions=["switch"],
        dialog=dialog(
            title=_("Switch face analysis off?"),
            description=_(
                "Work on faces stops, and faces and people are invisible, at once. Then they are erased for good: "
                "faces, chips, vectors, people and their names, also what was decided by hand."
            ),
            submit=_("Switch off"),
            is_destructive=True,
        ),
    )
    def switch_off(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Switch face analysis off."""
        library = self._switchable(request, object_id)
        return act(
            request,
            lambda: switch_face_analysis(library=library, enabled=False, by=request.user),
            done=_("Face analysis is off; faces and people are being erased in the background."),
        )

    @action(description=_("Forget all faces"), icon="no_accounts", permissions=["switch"], dialog=FORGET_FACES)
    def forget_faces(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Have all faces and people erased."""
        library = self._switchable(request, object_id)
        return act(
            request,
            lambda: forgetting.forget_faces(library=library, by=request.user),
            done=_("Face analysis is off; faces and people are being erased in the background."),
        )

    @action(description=_("Erase the library"), icon="delete_forever", permissions=["switch"], dialog=FORGET_LIBRARY)
    def forget(self, request: HttpRequest, form: NameForm, object_id: str) -> HttpResponse:
        """Have the library erased with everything in it."""
        library = self.existing(request, object_id)
        if not may(request.user, *forgetting.LIBRARY_TAKES, library_id=library.pk):
            raise PermissionDenied(Permission.EDIT_LIBRARY)
        return erase(
            request,
            lambda: forgetting.forget_library(library=library, by=request.user, name=form.cleaned_data["name"]),
            then="admin:accounts_library_changelist",
        )

    def has_invite_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whether the user may invite where their role allows it."""
        return request.user.has_perm("accounts.add_invitation")

    def has_switch_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whether the user may switch face analysis where their role allows it."""
        return request.user.has_perm("accounts.change_library")

    def _switchable(self, request: HttpRequest, object_id: str) -> Library:
        library = self.existing(request, object_id)
        if not may(request.user, Permission.SWITCH_FACE_ANALYSIS, library_id=library.pk):
            raise PermissionDenied(Permission.SWITCH_FACE_ANALYSIS)
        return library

    @display(description=_("used"))
    def used(self, library: Library) -> str:
        """Bytes of originals, those in the trash too."""
        return filesizeformat(library.used_bytes)

    @display(description=_("erasure of faces"))
    def erasure(self, library: Library) -> SafeString | None:
        """The last erasure, and its receipt."""
        return _run_link(face_work(library).erasure)

    @display(description=_("planning of its photos"))
    def planning(self, library: Library) -> SafeString | None:
        """The last planning, and how far it has come."""
        return _run_link(face_work(library).planning)


def _run_link(run: LibraryRun | None) -> SafeString | None:
    if run is None:
        return None
    url = reverse("admin:processing_libraryrun_change", args=[run.pk])
    shown = " · ".join([run.get_state_display(), *(f"{name} {count}" for name, count in run.report.items())])
    return format_html('<a class="dr-link" href="{}">{}</a>', url, shown)
