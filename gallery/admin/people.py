"""People and faces in the admin: who is who, and moving a face to somebody else."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ORDER_VAR, PAGE_VAR
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.db.models.options import Options
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from accounts.ids import parse
from accounts.roles import Permission
from gallery.admin import files, filters
from gallery.admin.base import LargeListAdmin
from gallery.admin.choices import OfferedByLibraryMixin
from gallery.admin.erasures import FORGET_PERSON, erase
from gallery.admin.person_acts import PersonActsMixin
from gallery.admin.visibility import may
from photos.models import Face, Person
from photos.services import people
from processing.services import forgetting

FACES_ON_PAGE = 120
BEST_FIRST = ("-quality", "pk")


@admin.register(Person)
class PersonAdmin(PersonActsMixin, OfferedByLibraryMixin, LargeListAdmin):
    """People are found by grouping; here they get a name, and whatever else somebody decides about them."""

    # a popup shows these columns, the page itself shows faces
    list_display = ("who", "faces_found", "library")
    list_select_related = ("library",)
    list_filter = (filters.NamedFilter, filters.HiddenFilter, ("library", filters.VisibleSelectFilter))
    list_filter_submit = True
    sortable_by = ("who", "faces_found")
    search_fields = ("name",)
    fields = ("name", "library", "hidden", "created_at")
    readonly_fields = ("library", "hidden", "created_at")
    change_form_outer_after_template = "admin/photos/person/faces.html"
    actions_detail = ("merge", "confirm_all", "hide", "show", "forget")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Person]:
        """People whom the user may see, with the number of their faces and the best of them."""
        return Person.objects.visible_to(request.user).with_faces(request.user)

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
        """Offer what the user may do, and what fits the person."""
        person = self.get_object(request, object_id)
        if person is None:
            return []
        wanted = self.acts_offered(request, person)
        if may(request.user, *forgetting.PERSON_TAKES, library_id=person.library_id):
            wanted.add("forget")
        prefix = f"{self.opts.app_label}_{self.opts.model_name}_"
        offered = super().get_actions_detail(request, object_id)
        return [one for one in offered if one.action_name.removeprefix(prefix) in wanted]

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
            context |= self.decisions_shown(request, obj)
            context["all_faces_url"] = f"{reverse('admin:photos_face_changelist')}?person__id__exact={obj.pk}"
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Options, object_id: str) -> HttpResponse:
        """Go on to who a merged person is now: links and bookmarks outlive them."""
        once = Person.objects.merged_too(request.user).filter(pk=parse(unquote(object_id))).first()
        if once is None:
            return super()._get_obj_does_not_exist_redirect(request, opts, object_id)
        messages.info(request, _("This person was merged into another one."))
        return redirect("admin:photos_person_change", people.who_is(person_id=once.pk))

    @display(description=_("name"), ordering="name")
    def who(self, person: Person) -> str:
        """The name, or that there is none."""
        return str(person)

    @display(description=_("hidden"))
    def hidden(self, person: Person) -> Any:
        """Whether the person is left out of lists."""
        return _("yes, lists leave them out") if person.is_hidden else _("no")

    @display(description=_("faces"), ordering="face_count")
    def faces_found(self, person: Person) -> int:
        """How many kept faces the person has."""
        return person.face_count


def _order_of(request: HttpRequest) -> str:
    return request.GET.get(ORDER_VAR, "")
