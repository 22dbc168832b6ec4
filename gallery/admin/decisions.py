"""Decisions about people in the admin: who said what, and undoing it."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from accounts.admin_dialogs import act, dialog
from accounts.roles import Permission
from gallery.admin import files, filters, row_filters
from gallery.admin.base import ReadOnlyAdmin
from gallery.admin.visibility import may
from photos.models import Face, FaceLink, PersonDecision
from photos.services import person_undo

FACES_ON_PAGE = 120
UNDO = dialog(
    title=_("Undo this decision?"),
    description=_(
        "Faces go back to whom they were of, and what it had ended holds again. Where a later decision rests on it, "
        "that one has to be undone first."
    ),
    submit=_("Undo"),
)


@admin.register(PersonDecision)
class PersonDecisionAdmin(ReadOnlyAdmin):
    """What people said of people, one act a row."""

    list_display = ("made_at", "what", "faces_said", "library", "by", "held")
    list_select_related = ("library", "by", "person")
    list_filter = (
        row_filters.DecisionKindFilter,
        row_filters.UndoneFilter,
        ("library", filters.VisibleSelectFilter),
        row_filters.AboutFilter,
        ("made_at", filters.DayRangeFilter),
    )
    list_filter_submit = True
    search_fields = ("person__name", "by__email")
    search_help_text = _("Person, e-mail address of who decided")
    fields = ("what", "library", "by", "made_at", "undone_at", "undone_by", "faces_said")
    readonly_fields = fields
    change_form_outer_after_template = "admin/photos/persondecision/faces.html"
    actions_detail = ("undo",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[PersonDecision]:
        """Decisions that the user may see, with the number of faces that they are about."""
        return PersonDecision.objects.visible_to(request.user).with_face_count()

    def has_undo_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whether the user may decide about people where their role allows it."""
        return request.user.has_perm("photos.change_person")

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer to undo what holds."""
        decision = self.get_object(request, object_id)
        is_offered = decision is not None and decision.undone_at is None and _may_undo(request, decision)
        return super().get_actions_detail(request, object_id) if is_offered else []

    @action(description=_("Undo"), icon="undo", permissions=["undo"], dialog=UNDO)
    def undo(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Undo a decision."""
        decision = self.existing(request, object_id)
        if not _may_undo(request, decision):
            raise PermissionDenied(Permission.EDIT_PEOPLE)
        return act(request, lambda: person_undo.undo(decision=decision, by=request.user), done=_("It is undone."))

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        *args: Any,
        obj: PersonDecision | None = None,
        **kwargs: Any,
    ) -> HttpResponse:
        """Show the faces that it is about."""
        if obj is not None:
            said = FaceLink.objects.filter(decision=obj).said()
            faces = Face.objects.visible_to(request.user).filter(pk__in=said.values("face"))
            shown = faces.select_related("photo", "person").order_by("-quality", "pk")[:FACES_ON_PAGE]
            context["said_faces"] = [(face, files.chip_url(face.pk, face.chip_key)) for face in shown]
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)

    @display(description=_("what"))
    def what(self, decision: PersonDecision) -> SafeString:
        """What was said, and of whom."""
        shown = render_to_string("admin/photos/person/decision.html", {"decision": decision})
        return format_html('<div class="dr-said">{}</div>', shown)

    @display(description=_("faces"))
    def faces_said(self, decision: PersonDecision) -> int:
        """Of how many faces it says something, beside holding them where they were."""
        return decision.face_count

    @display(description=_("state"), label={"undone": "default", "holds": "success"})
    def held(self, decision: PersonDecision) -> tuple[str, Any]:
        """Whether it holds."""
        return ("holds", _("holds")) if decision.undone_at is None else ("undone", _("undone"))


def _may_undo(request: HttpRequest, decision: PersonDecision) -> bool:
    return may(request.user, Permission.EDIT_PEOPLE, library_id=decision.library_id)
