"""Faces in the admin: whose they are, and saying so."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.admin_dialogs import act, dialog
from accounts.roles import Permission
from gallery.admin import files, filters
from gallery.admin.base import LargeListAdmin
from gallery.admin.choices import OneOfLibrary
from gallery.admin.person_acts import DECISIONS_ON_PAGE
from gallery.admin.visibility import may
from photos.models import Face, Person, PersonDecision
from photos.services import people


class NewPersonForm(BaseDialogForm):
    """What somebody new is called."""

    name = forms.CharField(
        label=_("Name"),
        max_length=Person._meta.get_field("name").max_length,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("It may be given later."),
    )


CONFIRM = dialog(
    title=_("Confirm whose face it is?"),
    description=_("The face is this person under every grouping. It can be undone."),
    submit=_("Confirm"),
)
REJECT = dialog(
    title=_("This is not the person?"),
    description=_("The face is nobody's until grouping finds somebody else, and never this person. It can be undone."),
    submit=_("Not this person"),
)
SOMEBODY_NEW = dialog(
    title=_("The face is somebody new?"),
    description=_("A person is made for it, and it is theirs under every grouping. It can be undone."),
    submit=_("Make the person"),
    form_class=NewPersonForm,
)


@admin.register(Face)
class FaceAdmin(LargeListAdmin):
    """Faces are found by detection; here somebody says whose they are."""

    list_display = ("face", "person", "confidence_shown", "quality_shown", "decided", "photo_file", "created_at")
    list_display_links = ("face",)
    list_select_related = ("person", "photo")
    list_filter = (
        ("person", filters.VisibleSelectFilter),
        ("photo__library", filters.VisibleSelectFilter),
        filters.KeptFilter,
        filters.BelongsFilter,
    )
    list_filter_submit = True
    fields = ("person",)
    change_form_outer_before_template = "admin/photos/face/portrait.html"
    change_form_outer_after_template = "admin/photos/face/decisions.html"
    actions_detail = ("confirm", "reject", "to_somebody_new")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Face]:
        """Faces that the user may see."""
        return Face.objects.visible_to(request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Faces come from detection."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Face | None = None) -> bool:
        """Let those move faces who may do so in that library."""
        is_allowed = obj is None or may(request.user, Permission.EDIT_PEOPLE, library_id=obj.photo.library_id)
        return is_allowed and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Faces go with their photo, or with the next detection."""
        return False

    def get_form(self, request: HttpRequest, obj: Face | None = None, **kwargs: Any) -> type[forms.ModelForm]:
        """Offer the people of the face's library."""
        form = super().get_form(request, obj, **kwargs)
        if obj is not None and "person" in form.base_fields:
            offered, library_id = form.base_fields["person"], obj.photo.library_id
            offered.queryset = Person.objects.visible_to(request.user).filter(library=library_id)
            offered.widget = OneOfLibrary(Face._meta.get_field("person"), library_id=library_id)
            offered.widget.choices = offered.choices
            offered.help_text = _("None: the face is nobody's, and stays so.")
        return form

    def save_model(self, request: HttpRequest, obj: Face, form: forms.ModelForm, change: bool) -> None:
        """Put the face to whom was chosen, for good."""
        people.decide_face(face=obj, person=form.cleaned_data["person"], by=request.user)

    def get_urls(self) -> list[URLPattern]:
        """Add the chips."""
        view = self.admin_site.admin_view(self.chip_view, cacheable=True)
        return [path("<uuid:face_id>/chip/", view, name="photos_face_chip"), *super().get_urls()]

    def chip_view(self, request: HttpRequest, face_id: UUID) -> HttpResponseBase:
        """Answer with the chip of a face."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return files.serve_chip(request, face_id)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Face | None = None, **kwargs: Any
    ) -> HttpResponse:
        """Show the chip beside the choice."""
        if obj is not None:
            context["face"] = obj
            context["face_chip_url"] = files.chip_url(obj.pk, obj.chip_key)
            decisions = PersonDecision.objects.visible_to(request.user).about_face(obj).with_face_count()
            listed = decisions.select_related("by", "undone_by", "person").order_by("-pk")
            context["decisions"] = list(listed[:DECISIONS_ON_PAGE])
            context["may_decide"] = self._may_decide(request, obj)
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)

    def has_decide_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whether the user may decide where their role allows it."""
        return request.user.has_perm("photos.change_face")

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer what fits the face: whether somebody is right takes somebody."""
        face = self.get_object(request, object_id)
        if face is None or not self._may_decide(request, face):
            return []
        wanted = {"to_somebody_new"} if face.person_id is None else {"reject", "to_somebody_new"}
        wanted |= {"confirm"} if face.person_id is not None and not face.person_decided else set()
        prefix = f"{self.opts.app_label}_{self.opts.model_name}_"
        offered = super().get_actions_detail(request, object_id)
        return [one for one in offered if one.action_name.removeprefix(prefix) in wanted]

    @action(description=_("Confirm"), icon="check", permissions=["decide"], dialog=CONFIRM)
    def confirm(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Say that the face is the person whose it is."""
        face = self._to_decide(request, object_id)
        return act(request, lambda: people.confirm_face(face=face, by=request.user), done=_("The face is confirmed."))

    @action(description=_("Not this person"), icon="person_off", permissions=["decide"], dialog=REJECT)
    def reject(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Say that the face is not the person whose it is."""
        face = self._to_decide(request, object_id)
        return act(
            request,
            lambda: people.reject_face(face=face, by=request.user),
            done=_("The face is not that person any more."),
        )

    @action(description=_("Somebody new"), icon="person_add", permissions=["decide"], dialog=SOMEBODY_NEW)
    def to_somebody_new(self, request: HttpRequest, form: NewPersonForm, object_id: str) -> HttpResponse:
        """Say that the face is somebody of whom there was none yet."""
        face, name = self._to_decide(request, object_id), form.cleaned_data["name"]
        return act(
            request,
            lambda: people.decide_face(face=face, person=None, new_name=name, by=request.user),
            done=_("The face is somebody new."),
        )

    def _may_decide(self, request: HttpRequest, face: Face) -> bool:
        return self.has_decide_permission(request) and may(
            request.user, Permission.EDIT_PEOPLE, library_id=face.photo.library_id
        )

    def _to_decide(self, request: HttpRequest, object_id: str) -> Face:
        """Give a face of which the user may decide; Http404, PermissionDenied."""
        face = self.existing(request, object_id)
        if not self._may_decide(request, face):
            raise PermissionDenied(Permission.EDIT_PEOPLE)
        return face

    @display(description="")
    def face(self, face: Face) -> SafeString:
        """The chip."""
        return files.chip(face.pk, face.chip_key)

    @display(description=_("confidence"))
    def confidence_shown(self, face: Face) -> str:
        """How sure the detector was."""
        return f"{face.confidence:.3f}"

    @display(description=_("quality"))
    def quality_shown(self, face: Face) -> str:
        """Size, sharpness and pose as one number."""
        return f"{face.quality:.2f}"

    @display(description=_("decided"), label="info")
    def decided(self, face: Face) -> str:
        """Whether somebody said whose it is: then regrouping leaves it there."""
        return _("by somebody") if face.person_decided else ""

    @display(description=_("photo"))
    def photo_file(self, face: Face) -> SafeString:
        """The photo that it is on."""
        url = reverse("admin:photos_photo_change", args=[face.photo_id])
        return format_html('<a class="dr-link" href="{}">{}</a>', url, face.photo.original_filename or face.photo_id)
