"""Photos in the admin: the list, the page of one photo, the trash, and what can be done again."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.admin_audit import leave_alone
from accounts.admin_dialogs import dialog, reload_page
from accounts.problems import DomainError
from accounts.roles import Permission
from gallery.admin import files, filters, row_filters, run_actions
from gallery.admin.base import PHOTO_STATE_LABELS, ReadOnlyAdmin, say
from gallery.admin.camera_makes import CameraMakeFilter
from gallery.admin.photo_access import photo_access_page
from gallery.admin.photo_edits import correction_page, corrections_permitted
from gallery.admin.photo_history import photo_history
from gallery.admin.photo_page import photo_page, taken
from gallery.admin.photo_search import matching
from gallery.admin.visibility import countable_faces, visible_photos
from gallery.photo_facts import camera_name
from photos.models import Photo
from photos.services import trash
from processing.models import StageRun
from processing.services import reprocess
from processing.services import trash as photo_return
from processing.stages import registry
from processing.states import PhotoState, with_state

RETRY, TRASH, PURGE = Permission.RETRY_PROCESSING, Permission.TRASH_PHOTOS, Permission.PURGE_PHOTOS
NONE_MOVED = _("None of them was moved: they are there already, or your role does not allow it.")


class RunAgainForm(BaseDialogForm):
    """Which stage is run again; the stages that read its result follow."""

    stage = forms.ChoiceField(label=_("Stage"), widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["stage"].choices = [(stage.name, stage.name) for stage in registry.all_stages()]


# very many at once, told of by its service
leave_alone("photos_photo_changelist restore")


@admin.register(Photo)
class PhotoAdmin(ReadOnlyAdmin):
    """Photos are looked at, moved to the trash and back, and processed again."""

    list_display = ("thumbnail", "file", "state", "library", "taken", "faces_found", "uploaded_at")
    list_display_links = ("thumbnail", "file")
    list_select_related = ("library",)
    list_filter = (
        filters.StateFilter,
        ("library", filters.VisibleSelectFilter),
        filters.FormatFilter,
        filters.HasFacesFilter,
        CameraMakeFilter,
        ("tags", row_filters.TagFilter),
        ("albums", row_filters.AlbumFilter),
        row_filters.CorrectedFilter,
        row_filters.EditFilter,
        ("uploaded_at", filters.DayRangeFilter),
        ("taken_at", filters.DayRangeFilter),
        filters.TrashFilter,
    )
    list_filter_submit = True
    search_fields = ("original_filename",)
    search_help_text = _("File, title, tag, camera, person, id, SHA-256")
    fieldsets = ((None, {"fields": ()}),)
    actions = ("move_to_trash", "restore")
    actions_detail = ("correct", "retry_dead", "run_again", "trash_photo", "restore_photo", "purge_photo")
    change_form_template = "admin/photos/photo/change_form.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Photo]:
        """Photos that the user may see, with their derived state and the number of faces that may be told."""
        faces = countable_faces(request.user).filter(photo=OuterRef("pk")).order_by().values("photo")
        photos = with_state(visible_photos(request.user))
        counted = photos.annotate(faces_told=Coalesce(Subquery(faces.annotate(n=Count("pk")).values("n")), 0))
        return counted.prefetch_related(files.smallest_renditions())

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Photo], search_term: str
    ) -> tuple[QuerySet[Photo], bool]:
        """Find photos by the words typed."""
        return queryset.filter(matching(search_term, user=request.user)), False

    def get_urls(self) -> list[URLPattern]:
        """Add the images and the original."""
        view = self.admin_site.admin_view
        return [
            path(
                "<uuid:photo_id>/rendition/<str:kind>/",
                view(self.rendition_view, cacheable=True),
                name="photos_photo_rendition",
            ),
            path("<str:object_id>/correct/form/", view(self.correction_view), name="photos_photo_correction"),
            path("<uuid:photo_id>/why/", view(photo_access_page), name="photos_photo_why"),
            path("<uuid:photo_id>/original/", view(self.original_view), name="photos_photo_original"),
            *super().get_urls(),
        ]

    def rendition_view(self, request: HttpRequest, photo_id: UUID, kind: str) -> HttpResponseBase:
        """Answer with a rendition."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return files.serve_rendition(request, photo_id, kind)

    def original_view(self, request: HttpRequest, photo_id: UUID) -> HttpResponseBase:
        """Answer with the original, as an attachment."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return files.serve_original(request, photo_id)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Photo | None = None, **kwargs: Any
    ) -> HttpResponse:
        """Show the photo with everything that is known of it, in place of a form."""
        if obj is not None:
            may_process = self.has_process_permission(request) and self._permits(request, obj, RETRY)
            context |= {
                **photo_page(obj, user=request.user),
                **photo_history(obj, user=request.user),
                "may_process": may_process,
                "may_correct": self._may_correct(request, obj),
            }
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)

    def correction_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask what is true of a photo, and say it."""
        return correction_page(request, self.existing(request, object_id))

    # permissions of the actions: whether the user may do it anywhere, and then in which libraries

    def has_trash_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whether the user may move photos to the trash and back."""
        return request.user.has_perm("photos.change_photo")

    def has_purge_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whether the user may delete photos for good."""
        return request.user.has_perm("photos.delete_photo")

    def has_process_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whether the user may have stages run again."""
        return request.user.has_perm("processing.change_stagerun")

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer what fits the photo: a retry where something is dead, the way out of the trash for what is in it."""
        photo = self.get_object(request, object_id)
        if photo is None:
            return []
        may_process, may_trash, may_purge = (self._permits(request, photo, one) for one in (RETRY, TRASH, PURGE))
        is_trashed = photo.trashed_at is not None
        fitting = {
            "correct": self._may_correct(request, photo),
            "retry_dead": may_process and photo.state == PhotoState.ATTENTION,
            "run_again": may_process and not is_trashed,
            "trash_photo": may_trash and not is_trashed,
            "restore_photo": may_trash and is_trashed,
            "purge_photo": may_purge and is_trashed,
        }
        prefix = f"{self.opts.app_label}_{self.opts.model_name}_"
        offered = super().get_actions_detail(request, object_id)
        return [one for one in offered if fitting[one.action_name.removeprefix(prefix)]]

    def _may_correct(self, request: HttpRequest, photo: Photo) -> bool:
        return photo.trashed_at is None and bool(corrections_permitted(request, photo))

    def _permits(self, request: HttpRequest, photo: Photo, permission: str) -> bool:
        """Whether the user's role gives a permission in the photo's library."""
        return visible_photos(request.user, permission).filter(pk=photo.pk).exists()

    def _one(self, request: HttpRequest, object_id: str, permission: str) -> Photo:
        """Give a photo that the user may see and act on; Http404 for one that they may not see."""
        photo = self.existing(request, object_id)
        if not self._permits(request, photo, permission):
            raise PermissionDenied(permission)
        return photo

    def _many(self, request: HttpRequest, chosen: QuerySet[Photo], permission: str) -> QuerySet[UUID]:
        """Give the ids of those of the chosen photos that the user may act on."""
        photos = visible_photos(request.user, permission).filter(pk__in=chosen.order_by().values("pk"))
        return photos.values_list("pk", flat=True)

    # actions on many photos

    @action(description=_("Move to the trash"), permissions=["trash"])
    def move_to_trash(self, request: HttpRequest, queryset: QuerySet[Photo]) -> None:
        """Move the chosen photos to the trash."""
        count = trash.move_to_trash(photo_ids=self._many(request, queryset, TRASH))
        say(request, count, "%d photo is in the trash.", "%d photos are in the trash.", none=NONE_MOVED)

    @action(description=_("Restore from the trash"), permissions=["trash"])
    def restore(self, request: HttpRequest, queryset: QuerySet[Photo]) -> None:
        """Bring the chosen photos back."""
        count = photo_return.restore(photo_ids=self._many(request, queryset, TRASH), by=request.user)
        say(request, count, "%d photo is back.", "%d photos are back.", none=NONE_MOVED)

    # actions on one photo, each behind a dialog or a page of its own

    @action(description=_("Correct"), icon="edit", permissions=["trash"])
    def correct(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Go on to the form that corrects what is shown."""
        return redirect("admin:photos_photo_correction", self.existing(request, object_id).pk)

    @action(
        description=_("Retry"),
        icon="replay",
        permissions=["process"],
        dialog=dialog(
            title=_("Retry what is dead?"),
            description=_("The photo's dead runs start over, with all their attempts."),
            submit=_("Retry"),
        ),
    )
    def retry_dead(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Let the photo's dead runs start over."""
        photo = self._one(request, object_id, RETRY)
        run_actions.retry(request, StageRun.objects.filter(photo=photo).dead())
        return reload_page()

    @action(
        description=_("Run a stage again"),
        icon="restart_alt",
        permissions=["process"],
        dialog=dialog(
            title=_("Run a stage again"),
            description=_("Its results are made anew; the stages that read them follow."),
            submit=_("Run again"),
            form_class=RunAgainForm,
        ),
    )
    def run_again(self, request: HttpRequest, form: RunAgainForm, object_id: str) -> HttpResponse:
        """Run a stage of the photo again, whatever came of it before."""
        stage = form.cleaned_data["stage"]
        photo = self._one(request, object_id, RETRY)
        count = reprocess.run_again(photos=Photo.objects.filter(pk=photo.pk), stage=stage)
        if count:
            messages.success(request, _("%(stage)s runs again.") % {"stage": stage})
        else:
            messages.warning(request, _("There is no run of %(stage)s that could start over.") % {"stage": stage})
        return reload_page()

    @action(
        description=_("Move to the trash"),
        icon="delete",
        permissions=["trash"],
        dialog=dialog(
            title=_("Move the photo to the trash?"),
            description=_("Nobody sees it there, and it can be brought back."),
            submit=_("Move to the trash"),
        ),
    )
    def trash_photo(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Move this photo to the trash."""
        self.move_to_trash(request, Photo.objects.filter(pk=self._one(request, object_id, TRASH).pk))
        return reload_page()

    @action(
        description=_("Restore"),
        icon="restore_from_trash",
        permissions=["trash"],
        dialog=dialog(
            title=_("Bring the photo back?"),
            description=_("Everybody who may see the library's photos sees it again."),
            submit=_("Restore"),
        ),
    )
    def restore_photo(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Bring this photo back from the trash."""
        self.restore(request, Photo.objects.filter(pk=self._one(request, object_id, TRASH).pk))
        return reload_page()

    @action(
        description=_("Delete for good"),
        icon="delete_forever",
        permissions=["purge"],
        dialog=dialog(
            title=_("Delete the photo for good?"),
            description=_("The original goes with everything that is known of it. Nobody can bring it back."),
            submit=_("Delete for good"),
            is_destructive=True,
        ),
    )
    def purge_photo(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Delete this photo, which lies in the trash."""
        try:
            count = photo_return.purge(photo_ids=[self._one(request, object_id, PURGE).pk], by=request.user)
        except DomainError as error:
            messages.error(request, error.detail)
            return reload_page()
        none = _("It is not in the trash any more.")
        say(request, count, "%d photo is deleted.", "%d photos are deleted.", none=none)
        # its page is gone with it
        return HttpResponse(headers={"HX-Redirect": reverse("admin:photos_photo_changelist") + "?trash=1"})

    # columns

    @display(description="")
    def thumbnail(self, photo: Photo) -> SafeString:
        """The smallest rendition."""
        return files.thumbnail(photo)

    @display(description=_("file"))
    def file(self, photo: Photo) -> SafeString:
        """Name, size and format."""
        return format_html(
            '<span class="dr-file">{}</span><span class="dr-sub">{} {}\u00d7{} · {}</span>',
            photo.original_filename or _("without a name"),
            photo.image_format,
            photo.width,
            photo.height,
            filesizeformat(photo.byte_size),
        )

    @display(description=_("state"), label=PHOTO_STATE_LABELS)
    def state(self, photo: Photo) -> tuple[str, object]:
        """The derived state."""
        return photo.state, PhotoState(photo.state).label

    @display(description=_("taken"))
    def taken(self, photo: Photo) -> SafeString:
        """When it was taken, by the camera's clock, and with which camera."""
        return format_html(
            '<div class="nowrap">{}<span class="dr-sub">{}</span></div>', taken(photo), camera_name(photo)
        )

    @display(description=_("faces"))
    def faces_found(self, photo: Photo) -> int:
        """How many faces are kept."""
        return photo.faces_told
