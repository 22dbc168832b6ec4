"""Near-duplicates in the admin: groups, which photo is suggested to be kept, and decisions that photos are none."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from accounts.admin_dialogs import act, dialog, reload_page
from accounts.problems import DomainError
from accounts.roles import Permission
from gallery.admin import files, filters
from gallery.admin.base import ReadOnlyAdmin, say
from gallery.admin.photo_pictures import PhotoPicturesMixin
from gallery.admin.row_filters import PhotoFilter
from gallery.admin.visibility import may
from photos.models import DecidedPhoto, DuplicateDecision, DuplicateGroup, DuplicateMember, Photo
from photos.search.duplicates import suggest
from photos.services import duplicates, trash
from processing.models_in_use import model_in_use

IMAGE_EMBEDDING = "image_embedding"
PICTURES_IN_LIST = 4
FEWEST = 2
NO_DUPLICATES = dialog(
    title=_("These photos are no duplicates?"),
    description=_(
        "None of them is in a group with another one from then on, also when they are processed anew, until the "
        "decision is taken back."
    ),
    submit=_("No duplicates"),
)
KEEP = dialog(
    title=_("Keep the suggested photo alone?"),
    description=_("The other photos of the group move to the trash, out of which they can be brought back."),
    submit=_("Move the others to the trash"),
)
TAKE_BACK = dialog(
    title=_("Take the decision back?"),
    description=_("Its photos may be duplicates again: they are compared at once."),
    submit=_("Take back"),
)


class MemberFilter(PhotoFilter):
    """The group of one photo."""

    through = DuplicateMember.objects.all()
    back = "group"


class DecidedPhotoFilter(PhotoFilter):
    """Decisions on one photo."""

    through = DecidedPhoto.objects.all()
    back = "decision"


@admin.register(DuplicateGroup)
class DuplicateGroupAdmin(ReadOnlyAdmin):
    """Photos each of which is nearly the same as every other one; found in the background."""

    list_display = ("pictures", "photos_seen", "library", "made_at")
    list_display_links = ("pictures",)
    list_select_related = ("library",)
    list_filter = (("library", filters.VisibleSelectFilter), MemberFilter)
    list_filter_submit = True
    fields = ("library", "made_at", "photos_seen")
    readonly_fields = fields
    change_form_outer_after_template = "admin/photos/duplicategroup/photos.html"
    actions_detail = ("decide", "keep_suggested")

    def get_queryset(self, request: HttpRequest) -> QuerySet[DuplicateGroup]:
        """Groups of which the user may see two photos or more, with these."""
        seen = Photo.objects.visible_to(request.user)
        photos = Prefetch("photo", seen.prefetch_related(files.smallest_renditions()))
        members = DuplicateMember.objects.filter(photo__in=seen.order_by().values("pk")).order_by("photo_id")
        groups = DuplicateGroup.objects.visible_to(request.user)
        return groups.prefetch_related(Prefetch("members", members.prefetch_related(photos), to_attr="shown_members"))

    def has_decide_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whether the user may change photos where their role allows it."""
        return request.user.has_perm("photos.change_photo")

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer what the role allows."""
        group = self.get_object(request, object_id)
        if group is None:
            return []
        takes = {"decide": Permission.EDIT_PHOTOS, "keep_suggested": Permission.TRASH_PHOTOS}
        wanted = {name for name, one in takes.items() if may(request.user, one, library_id=group.library_id)}
        prefix = f"{self.opts.app_label}_{self.opts.model_name}_"
        offered = super().get_actions_detail(request, object_id)
        return [one for one in offered if one.action_name.removeprefix(prefix) in wanted]

    @action(description=_("No duplicates"), icon="difference", permissions=["decide"], dialog=NO_DUPLICATES)
    def decide(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Note that the photos of a group are no duplicates of each other."""
        group = self._permitted(request, object_id, Permission.EDIT_PHOTOS)
        try:
            decision = duplicates.decide(photos=_photos(group), by=request.user, model=_model())
        except DomainError as error:
            messages.error(request, error.detail)
            return reload_page()
        messages.success(request, _("The photos are no duplicates. It can be taken back here."))
        url = reverse("admin:photos_duplicatedecision_change", args=[decision.pk])
        return HttpResponse(headers={"HX-Redirect": url})

    @action(description=_("Keep the suggested one"), icon="filter_1", permissions=["decide"], dialog=KEEP)
    def keep_suggested(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Move the others to the trash."""
        group = self._permitted(request, object_id, Permission.TRASH_PHOTOS)
        photos = _photos(group)
        kept = suggest(photos).photo
        count = trash.move_to_trash(photo_ids=[photo.pk for photo in photos if photo.pk != kept.pk])
        say(request, count, "%d photo is in the trash.", "%d photos are in the trash.")
        return HttpResponse(headers={"HX-Redirect": reverse("admin:photos_photo_change", args=[kept.pk])})

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        *args: Any,
        obj: DuplicateGroup | None = None,
        **kwargs: Any,
    ) -> HttpResponse:
        """Show the photos side by side, the one that is suggested to be kept first."""
        if obj is not None and obj.shown_members:
            photos = _photos(obj)
            suggestion = suggest(photos)
            ordered = sorted(photos, key=lambda photo: (photo is not suggestion.photo, photo.pk))
            context["alike"] = [
                (photo, _picture(photo), filesizeformat(photo.byte_size), photo is suggestion.photo)
                for photo in ordered
            ]
            context["reason"] = suggestion.words
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)

    def _permitted(self, request: HttpRequest, object_id: str, permission: str) -> DuplicateGroup:
        """Give a group that the user may see and act on; Http404, PermissionDenied."""
        group = self.existing(request, object_id)
        if len(group.shown_members) < FEWEST:
            # its photos went between two queries
            raise Http404("There is no such group.")
        if not may(request.user, permission, library_id=group.library_id):
            raise PermissionDenied(permission)
        return group

    @display(description=_("photos"))
    def pictures(self, group: DuplicateGroup) -> SafeString:
        """The first of its photos."""
        shown = ((files.thumbnail(photo),) for photo in _photos(group)[:PICTURES_IN_LIST])
        return format_html('<span class="dr-pictures">{}</span>', format_html_join("", "{}", shown))

    @display(description=_("how many"))
    def photos_seen(self, group: DuplicateGroup) -> int:
        """How many of them the user may see."""
        return len(group.shown_members)


@admin.register(DuplicateDecision)
class DuplicateDecisionAdmin(PhotoPicturesMixin, ReadOnlyAdmin):
    """Somebody's word that photos are no duplicates of each other."""

    list_display = ("decided_at", "pictures", "library", "decided_by")
    list_select_related = ("library", "decided_by")
    list_filter = (
        ("library", filters.VisibleSelectFilter),
        DecidedPhotoFilter,
        ("decided_at", filters.DayRangeFilter),
    )
    list_filter_submit = True
    search_fields = ("decided_by__email",)
    search_help_text = _("E-mail address of who decided")
    fields = ("decided_at", "decided_by", "library")
    readonly_fields = fields
    actions_detail = ("take_back",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[DuplicateDecision]:
        """Decisions that the user may see, with those of their photos that they may see."""
        seen = Photo.objects.visible_to(request.user)
        photos = Prefetch("photo", seen.prefetch_related(files.smallest_renditions()))
        rows = DecidedPhoto.objects.filter(photo__in=seen.order_by().values("pk")).order_by("photo_id")
        decisions = DuplicateDecision.objects.visible_to(request.user)
        return decisions.prefetch_related(Prefetch("photos", rows.prefetch_related(photos), to_attr="shown_members"))

    def has_decide_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whether the user may change photos where their role allows it."""
        return request.user.has_perm("photos.change_photo")

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer to take it back to those who may decide."""
        decision = self.get_object(request, object_id)
        is_offered = decision is not None and may(request.user, Permission.EDIT_PHOTOS, library_id=decision.library_id)
        return super().get_actions_detail(request, object_id) if is_offered else []

    @action(description=_("Take back"), icon="undo", permissions=["decide"], dialog=TAKE_BACK)
    def take_back(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Forget a decision."""
        decision = self.existing(request, object_id)
        if not may(request.user, Permission.EDIT_PHOTOS, library_id=decision.library_id):
            raise PermissionDenied(Permission.EDIT_PHOTOS)
        answer = act(
            request, lambda: duplicates.take_back(decision=decision, model=_model()), done=_("It is taken back.")
        )
        answer.headers["HX-Redirect"] = reverse("admin:photos_duplicatedecision_changelist")
        del answer.headers["HX-Refresh"]
        return answer

    def pictured(self, request: HttpRequest, obj: DuplicateDecision) -> QuerySet[Photo]:
        """Give its photos."""
        rows = DecidedPhoto.objects.filter(decision=obj).values("photo")
        return Photo.objects.visible_to(request.user).filter(pk__in=rows).order_by("-pk")

    @display(description=_("photos"))
    def pictures(self, decision: DuplicateDecision) -> SafeString:
        """The first of its photos."""
        shown = ((files.thumbnail(photo),) for photo in _photos(decision)[:PICTURES_IN_LIST])
        return format_html('<span class="dr-pictures">{}</span>', format_html_join("", "{}", shown))


def _photos(of: DuplicateGroup | DuplicateDecision) -> Sequence[Photo]:
    return [member.photo for member in of.shown_members]


def _picture(photo: Photo) -> str:
    """Give the address of the largest rendition that a page shows beside others; nothing where there is none."""
    renditions = sorted(getattr(photo, files.SMALLEST), key=lambda one: one.width)
    wide = [one for one in renditions if one.width >= files.SIDE_BY_SIDE_WIDTH]
    chosen = wide[0] if wide else renditions[-1] if renditions else None
    return files.rendition_url(chosen) if chosen else ""


def _model() -> str | None:
    chosen = model_in_use(IMAGE_EMBEDDING)
    return chosen.name if chosen else None
