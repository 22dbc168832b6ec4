"""Edits in the admin: who said what of how many photos, and taking it back."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from accounts.admin_dialogs import dialog, reload_page
from accounts.problems import DomainError
from gallery.admin import files, filters, row_filters
from gallery.admin.base import RUN_STATE_LABELS, ReadOnlyAdmin, say
from gallery.admin.counts import BoundedCount, in_words
from gallery.admin.edit_words import asked_for, revision_rows
from gallery.admin.visibility import may
from photos.models import Edit, Photo, Revision
from processing.kinds.edit import EDIT
from processing.models import LibraryRun, RunState
from processing.services import photo_edits

REVISIONS_ON_PAGE = 50
SAID_IN_LIST = 3
UNDO = dialog(
    title=_("Take this edit back?"),
    description=_(
        "Each of its photos gets back what it changed, but for what somebody has changed since. That is an edit "
        "itself: take it back to have this one again."
    ),
    submit=_("Take back"),
)
STATE_LABELS = {"running": "primary", "undone": "default", "undoing": "info", "holds": "success"}


@admin.register(Edit)
class EditAdmin(ReadOnlyAdmin):
    """What people said of photos, one act a row."""

    list_display = ("created_at", "said", "photos_changed", "state", "library", "by")
    list_select_related = ("library", "by", "undone_by")
    list_filter = (
        row_filters.EditStateFilter,
        ("library", filters.VisibleSelectFilter),
        row_filters.EditedPhotoFilter,
        ("created_at", filters.DayRangeFilter),
    )
    list_filter_submit = True
    search_fields = ("by__email",)
    search_help_text = _("E-mail address of who edited")
    fields = ("created_at", "by", "library", "said_in_full", "photos_changed", "state_in_words", "work")
    readonly_fields = fields
    change_form_outer_after_template = "admin/photos/edit/revisions.html"
    actions_detail = ("undo",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Edit]:
        """Edits that the user may see, with the number of photos that they changed as far as that is cheap."""
        changed = Revision.objects.filter(edit=OuterRef("pk"))
        return Edit.objects.visible_to(request.user).annotate(photo_count=BoundedCount(changed))

    def has_undo_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whether the user may edit photos where their role allows it."""
        return request.user.has_perm("photos.change_photo")

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer to take back what was not, to those who may do what it took."""
        edit = self.get_object(request, object_id)
        is_offered = edit is not None and not _is_undone(edit) and _may_undo(request, edit)
        return super().get_actions_detail(request, object_id) if is_offered else []

    @action(description=_("Take back"), icon="undo", permissions=["undo"], dialog=UNDO)
    def undo(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Take an edit back."""
        edit = self.existing(request, object_id)
        if not _may_undo(request, edit):
            raise PermissionDenied
        try:
            back, changed, left = photo_edits.undo_edit(edit=edit, by=request.user)
        except DomainError as error:
            messages.error(request, error.detail)
            return reload_page()
        messages.success(request, _("It is taken back."))
        say(request, changed, "%d photo is as before.", "%d photos are as before.")
        one, many = "%d photo was changed since, and keeps that.", "%d photos were changed since, and keep that."
        say(request, left, one, many, level=messages.INFO)
        return HttpResponse(headers={"HX-Redirect": reverse("admin:photos_edit_change", args=[back.pk])})

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Edit | None = None, **kwargs: Any
    ) -> HttpResponse:
        """Show what it changed, photo by photo."""
        if obj is not None:
            seen = Photo.objects.visible_to(request.user).prefetch_related(files.smallest_renditions())
            revisions = Revision.objects.filter(edit=obj, photo__in=seen.order_by().values("pk")).order_by("pk")
            listed = list(revisions[: REVISIONS_ON_PAGE + 1])
            photos = seen.in_bulk([one.photo_id for one in listed])
            context["revisions"] = [
                (photos[one.photo_id], files.thumbnail(photos[one.photo_id]), revision_rows(one))
                for one in listed[:REVISIONS_ON_PAGE]
                if one.photo_id in photos
            ]
            context["has_more_revisions"] = len(listed) > REVISIONS_ON_PAGE
            context["photos_url"] = _photos_url(obj)
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)

    @display(description=_("what"))
    def said(self, edit: Edit) -> SafeString:
        """What was asked for, shortened."""
        rows = asked_for(edit.changes)
        more = SafeString('<span class="dr-sub">…</span>') if len(rows) > SAID_IN_LIST else ""
        line = '<s class="dr-said dr-before">{}: {}</s>' if edit.undoes_id else '<span class="dr-said">{}: {}</span>'
        lines = format_html_join("", line, rows[:SAID_IN_LIST])
        return format_html("<div>{}{}{}</div>", _takes_back(edit), lines, more)

    @display(description=_("what"))
    def said_in_full(self, edit: Edit) -> SafeString:
        """What was asked for."""
        line = "<dt>{}</dt><dd><s>{}</s></dd>" if edit.undoes_id else "<dt>{}</dt><dd>{}</dd>"
        lines = format_html_join("", line, asked_for(edit.changes))
        return format_html('{}<dl class="dr-facts">{}</dl>', _takes_back(edit), lines)

    @display(description=_("photos"))
    def photos_changed(self, edit: Edit) -> SafeString:
        """How many photos it changed, and the way to them."""
        return format_html('<a class="dr-link" href="{}">{}</a>', _photos_url(edit), in_words(edit.photo_count))

    @display(description=_("state"), label=STATE_LABELS)
    def state(self, edit: Edit) -> tuple[str, Any]:
        """Whether it holds."""
        if edit.selection:
            return "running", _("under way")
        if _is_undone(edit):
            return "undone", _("taken back")
        return ("undoing", _("takes back")) if edit.undoes_id else ("holds", _("done"))

    @display(description=_("state"))
    def state_in_words(self, edit: Edit) -> SafeString | str:
        """Whether it holds, and what took it back."""
        _state, words = self.state(edit)
        if not _is_undone(edit):
            return str(words)
        url = reverse("admin:photos_edit_change", args=[edit.undone_by.pk])
        return format_html('<a class="dr-link" href="{}">{}</a>', url, words)

    @display(description=_("work"))
    def work(self, edit: Edit) -> SafeString | str:
        """The library run that edits many photos, and how far it is."""
        run = LibraryRun.objects.filter(kind=EDIT.name, library=edit.library_id, subject=str(edit.pk)).first()
        if run is None:
            return _t("at once")
        url = reverse("admin:processing_libraryrun_change", args=[run.pk])
        done = " · ".join(f"{name} {count}" for name, count in run.report.items())
        return format_html(
            '<a class="dr-link dr-text-{}" href="{}">{}</a> {}',
            RUN_STATE_LABELS[RunState(run.state)],
            url,
            run.get_state_display(),
            done,
        )


def _photos_url(edit: Edit) -> str:
    return f"{reverse('admin:photos_photo_changelist')}?edit={edit.pk}"


def _is_undone(edit: Edit) -> bool:
    return getattr(edit, "undone_by", None) is not None


def _may_undo(request: HttpRequest, edit: Edit) -> bool:
    return may(request.user, *photo_edits.takes(edit.changes), library_id=edit.library_id)


def _takes_back(edit: Edit) -> SafeString | str:
    if edit.undoes_id is None:
        return ""
    url = reverse("admin:photos_edit_change", args=[edit.undoes_id])
    return format_html('<a class="dr-link dr-said" href="{}">{}</a>', url, _t("takes back an earlier edit"))
