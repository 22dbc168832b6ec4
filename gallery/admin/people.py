"""People and faces in the admin: who is who, and moving a face to somebody else."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ORDER_VAR, PAGE_VAR
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

from accounts.roles import Permission
from gallery.admin import files, filters
from gallery.admin.base import LargeListAdmin
from gallery.admin.erasures import FORGET_PERSON, erase
from gallery.admin.visibility import may
from photos.models import Face, Person
from photos.services import people
from processing.services import forgetting

FACES_ON_PAGE = 120
BEST_FIRST = ("-quality", "pk")


@admin.register(Person)
class PersonAdmin(LargeListAdmin):
    """People are found by grouping; here they get a name."""

    # a popup shows these columns, the page itself shows faces
    list_display = ("who", "faces_found", "library")
    list_select_related = ("library",)
    list_filter = (filters.NamedFilter, ("library", filters.VisibleSelectFilter))
    list_filter_submit = True
    sortable_by = ("who", "faces_found")
    search_fields = ("name",)
    fields = ("name", "library", "created_at")
    readonly_fields = ("library", "created_at")
    change_form_outer_after_template = "admin/photos/person/faces.html"
    actions_detail = ("forget",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Person]:
        """People whom the user may see, with the number of their faces and the best of them."""
        return Person.objects.visible_to(request.user).with_faces()

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Add what the page shows in place of a table: pictures, and links for its order."""
        changelist = super().get_changelist_instance(request)
        changelist.people = [
            (person, files.chip_url(person.cover["id"], person.cover["chip_key"]) if person.cover else "")
            for person in changelist.result_list
        ]
        columns = changelist.list_display
        orders = {
            "": _("Newest first"),
            f"-{columns.index('faces_found')}": _("Most faces first"),
            str(columns.index("who")): _("By name"),
        }
        changelist.orders = [
            (name, changelist.get_query_string({ORDER_VAR: order or None}, [PAGE_VAR]), order == _order_of(request))
            for order, name in orders.items()
        ]
        return changelist

    def has_add_permission(self, request: HttpRequest) -> bool:
        """People come from grouping faces."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Person | None = None) -> bool:
        """Let those name people who may do so in that library."""
        is_allowed = obj is None or may(request.user, Permission.EDIT_PEOPLE, library_id=obj.library_id)
        return is_allowed and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Forgetting a person is more than deleting a row."""
        return False

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer it to those who may."""
        person = self.get_object(request, object_id)
        is_allowed = person is not None and may(request.user, *forgetting.PERSON_TAKES, library_id=person.library_id)
        return super().get_actions_detail(request, object_id) if is_allowed else []

    @action(description=_("Forget"), icon="person_remove", permissions=["forget"], dialog=FORGET_PERSON)
    def forget(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Have the person erased."""
        person = self.existing(request, object_id)
        if not may(request.user, *forgetting.PERSON_TAKES, library_id=person.library_id):
            raise PermissionDenied(Permission.SWITCH_FACE_ANALYSIS)
        return erase(
            request,
            lambda: forgetting.forget_person(person=person, by=request.user),
            then="admin:photos_person_changelist",
        )

    def has_forget_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whether the user may have people erased where their role allows it."""
        return request.user.has_perm("photos.change_person")

    def log_change(self, request: HttpRequest, obj: Person, message: Any) -> Any:
        """Note the act without the name: what is noted stays when the person is erased."""
        return super().log_change(request, Person(pk=obj.pk), message)

    def save_model(self, request: HttpRequest, obj: Person, form: forms.ModelForm, change: bool) -> None:
        """Name the person."""
        people.rename_person(person=obj, name=form.cleaned_data["name"], by=request.user)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Person | None = None, **kwargs: Any
    ) -> HttpResponse:
        """Show the person's faces below the name, best first."""
        if obj is not None:
            faces = Face.objects.visible_to(request.user).kept().filter(person=obj)
            shown = faces.select_related("photo").order_by(*BEST_FIRST)[:FACES_ON_PAGE]
            context["person_faces"] = [(face, files.chip_url(face.pk, face.chip_key)) for face in shown]
            context["all_faces_url"] = f"{reverse('admin:photos_face_changelist')}?person__id__exact={obj.pk}"
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)

    @display(description=_("name"), ordering="name")
    def who(self, person: Person) -> str:
        """The name, or that there is none."""
        return str(person)

    @display(description=_("faces"), ordering="face_count")
    def faces_found(self, person: Person) -> int:
        """How many kept faces the person has."""
        return person.face_count


def _order_of(request: HttpRequest) -> str:
    return request.GET.get(ORDER_VAR, "")


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
    autocomplete_fields = ("person",)
    change_form_outer_before_template = "admin/photos/face/portrait.html"

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
            same_library = Person.objects.visible_to(request.user).filter(library=obj.photo.library_id)
            form.base_fields["person"].queryset = same_library
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
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)

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
