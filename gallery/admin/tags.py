"""Tags in the admin: how many photos each has, renaming, merging and deleting them."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from accounts.admin_dialogs import dialog, reload_page
from accounts.models import Library
from accounts.problems import DomainError
from accounts.roles import Permission
from gallery.admin import filters
from gallery.admin.base import LargeListAdmin, page, say
from gallery.admin.choices import OfferedByLibraryMixin, OneOfLibrary
from gallery.admin.counts import BoundedCount, in_words
from gallery.admin.photo_pictures import PhotoPicturesMixin
from gallery.admin.row_filters import PhotoFilter
from gallery.admin.visibility import may
from photos.models import Photo, PhotoTag, Tag, TagAlias
from photos.services import tags

MERGED_AT_ONCE = 100
ALIASES_ON_PAGE = 50


class TaggedPhotoFilter(PhotoFilter):
    """Tags of one photo."""

    through = PhotoTag.objects.worn()
    back = "tag"


class TagForm(forms.ModelForm):
    """A tag's name."""

    def clean_name(self) -> str:
        """Refuse a name of nothing that can be read."""
        name = tags.clean_name(self.cleaned_data["name"])
        if not name:
            raise ValidationError(_("A tag has a name."))
        return name


class MergeInto(forms.Form):
    """Which of the chosen tags, or which other of the library, stays."""

    def __init__(self, *args: Any, request: HttpRequest, library: Library, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["into"] = forms.ModelChoiceField(
            label=_("They become"),
            queryset=Tag.objects.visible_to(request.user).filter(library=library),
            widget=OneOfLibrary(PhotoTag._meta.get_field("tag"), library_id=library.pk),
        )


DELETE = dialog(
    title=_("Delete the tag?"),
    description=_("It goes from all photos that have it, and files that say it do not bring it back. The photos stay."),
    submit=_("Delete"),
    is_destructive=True,
)


@admin.register(Tag)
class TagAdmin(OfferedByLibraryMixin, PhotoPicturesMixin, LargeListAdmin):
    """The words that photos of a library are sorted by."""

    form = TagForm
    list_display = ("name", "photos_tagged", "library", "created_at")
    list_select_related = ("library",)
    list_filter = (("library", filters.VisibleSelectFilter), TaggedPhotoFilter)
    list_filter_submit = True
    sortable_by = ("name",)
    search_fields = ("name",)
    fields = ("name", "library", "also_called", "photos_tagged", "created_at")
    readonly_fields = ("library", "also_called", "photos_tagged", "created_at")
    actions = ("merge_chosen", "delete_chosen")
    actions_detail = ("remove",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Tag]:
        """Tags that the user may see, with the number of their photos as far as it is cheap."""
        seen = Photo.objects.visible_to(request.user).filter(pk=OuterRef("photo"))
        worn = PhotoTag.objects.worn().filter(Exists(seen), tag=OuterRef("pk"))
        return Tag.objects.visible_to(request.user).annotate(photo_count=BoundedCount(worn))

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Tags are made by putting them on photos."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Tag | None = None) -> bool:
        """Let those rename tags who may edit photos in that library."""
        is_allowed = obj is None or may(request.user, Permission.EDIT_PHOTOS, library_id=obj.library_id)
        return is_allowed and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Tag | None = None) -> bool:
        """Deleting a tag is more than deleting a row: see `remove`."""
        return False

    def has_edit_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whether the user may change tags where their role allows it."""
        return request.user.has_perm("photos.change_tag")

    def save_model(self, request: HttpRequest, obj: Tag, form: forms.ModelForm, change: bool) -> None:
        """Rename the tag."""
        tags.rename(tag=obj, name=form.cleaned_data["name"])

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer to delete it to those who may."""
        tag = self.get_object(request, object_id)
        is_allowed = tag is not None and self._permits(request, tag)
        return super().get_actions_detail(request, object_id) if is_allowed else []

    @action(description=_("Delete"), icon="delete", permissions=["edit"], dialog=DELETE)
    def remove(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Delete a tag."""
        tag = self.existing(request, object_id)
        if not self._permits(request, tag):
            raise PermissionDenied(Permission.EDIT_PHOTOS)
        try:
            count = tags.delete(tag=tag)
        except DomainError as error:
            messages.error(request, error.detail)
            return reload_page()
        _say_deleted(request, 1, count)
        return HttpResponse(headers={"HX-Redirect": reverse("admin:photos_tag_changelist")})

    @action(description=_("Merge"), permissions=["edit"])
    def merge_chosen(self, request: HttpRequest, queryset: QuerySet[Tag]) -> HttpResponse | None:
        """Ask into which one, and merge the chosen tags."""
        chosen = self._editable(request, queryset)
        if chosen is None:
            return None
        if len({tag.library_id for tag in chosen}) > 1:
            messages.error(request, _("Tags of different libraries are not merged."))
            return None
        form = MergeInto(request.POST if "into" in request.POST else None, request=request, library=chosen[0].library)
        if not form.is_valid():
            asked = _("Merge %d tags") % len(chosen) if len(chosen) > 1 else _("Merge a tag")
            consequence = _(
                "Photos with any of them have the one that stays; files that say one of the others mean it from then "
                "on. This cannot be undone."
            )
            return self._ask(request, "merge_chosen", chosen, asked, consequence, submit=_("Merge"), form=form)
        into = form.cleaned_data["into"]
        others = [tag for tag in chosen if tag.pk != into.pk]
        if not others:
            messages.warning(request, _("Choose a tag that is merged, beside the one that stays."))
            return None
        count = tags.merge(tags=others, into=into)
        messages.success(request, _("%(tag)s is on %(count)s photos now.") % {"tag": into, "count": f"{count:,}"})
        return None

    @action(description=_("Delete"), permissions=["edit"])
    def delete_chosen(self, request: HttpRequest, queryset: QuerySet[Tag]) -> HttpResponse | None:
        """Ask, and delete the chosen tags."""
        chosen = self._editable(request, queryset)
        if chosen is None:
            return None
        if "sure" not in request.POST:
            asked = _("Delete %d tags?") % len(chosen) if len(chosen) > 1 else _("Delete the tag?")
            return self._ask(
                request, "delete_chosen", chosen, asked, DELETE["description"], submit=_("Delete"), is_destructive=True
            )
        _say_deleted(request, len(chosen), sum(tags.delete(tag=tag) for tag in chosen))
        return None

    def _permits(self, request: HttpRequest, tag: Tag) -> bool:
        return self.has_edit_permission(request) and may(
            request.user, Permission.EDIT_PHOTOS, library_id=tag.library_id
        )

    def _editable(self, request: HttpRequest, queryset: QuerySet[Tag]) -> list[Tag] | None:
        """Give the chosen tags, if they are not too many and the user may change all of them; else say so."""
        chosen = list(queryset.select_related("library").order_by("key", "pk")[: MERGED_AT_ONCE + 1])
        allowed = Library.objects.permitting(request.user, Permission.EDIT_PHOTOS)
        libraries = {tag.library_id for tag in chosen}
        if allowed.filter(pk__in=libraries).count() < len(libraries):
            messages.error(request, _("Your role does not allow it in each of their libraries."))
            return None
        if not chosen or len(chosen) > MERGED_AT_ONCE:
            messages.error(request, _("Choose from 1 to %d tags.") % MERGED_AT_ONCE)
            return None
        return chosen

    def _ask(
        self,
        request: HttpRequest,
        name: str,
        chosen: list[Tag],
        question: Any,
        consequence: Any,
        *,
        submit: Any,
        form: forms.Form | None = None,
        is_destructive: bool = False,
    ) -> HttpResponse:
        context = {
            "action": name,
            "chosen": [(tag, in_words(tag.photo_count)) for tag in chosen],
            "question": question,
            "consequence": consequence,
            "submit_text": submit,
            "form": form,
            "is_destructive": is_destructive,
            "back_url": request.get_full_path(),
            "opts": self.opts,
            "media": self.media + form.media if form else self.media,
        }
        return page(request, "admin/photos/tag/ask.html", title=question, **context)

    def pictured(self, request: HttpRequest, obj: Tag) -> QuerySet[Photo]:
        """Give the photos that its page shows, newest first."""
        worn = PhotoTag.objects.worn().filter(tag=obj, photo=OuterRef("pk"))
        return Photo.objects.visible_to(request.user).filter(Exists(worn)).order_by("-pk")

    def pictured_url(self, obj: Tag) -> str:
        """Give the address of all of them."""
        return f"{reverse('admin:photos_photo_changelist')}?tags__id__exact={obj.pk}"

    @display(description=_("photos"))
    def photos_tagged(self, tag: Tag) -> SafeString:
        """How many photos have it, and the way to them."""
        return format_html('<a class="dr-link" href="{}">{}</a>', self.pictured_url(tag), in_words(tag.photo_count))

    @display(description=_("also called"))
    def also_called(self, tag: Tag) -> str:
        """What files call it that have not heard of a rename or a merge."""
        names = TagAlias.objects.filter(tag=tag).order_by("key").values_list("key", flat=True)
        return ", ".join(names[:ALIASES_ON_PAGE]) or "-"


def _say_deleted(request: HttpRequest, count: int, photos: int) -> None:
    say(request, count, "%d tag is deleted.", "%d tags are deleted.")
    say(request, photos, "It was on %d photo.", "They were on %d photos." if count > 1 else "It was on %d photos.")
