"""Albums in the admin: what is in them, in which order, by which filter; titles, and the end of them."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from accounts.admin_dialogs import dialog, reload_page
from accounts.ids import parse
from accounts.models import User
from accounts.problems import DomainError
from accounts.roles import Permission
from gallery.admin import files, filters, row_filters
from gallery.admin.base import LargeListAdmin
from gallery.admin.choices import OfferedByLibraryMixin
from gallery.admin.counts import COUNTED_AT_MOST, BoundedCount, in_words
from gallery.admin.photo_pictures import PhotoPicturesMixin
from gallery.admin.visibility import may
from gallery.models import Album, AlbumPhoto
from gallery.models.album import AlbumKind, count_photos
from gallery.services import albums
from photos.models import Person, Photo

KIND_LABELS = {AlbumKind.MANUAL: "default", AlbumKind.SMART: "info"}


class AlbumPhotoFilter(row_filters.PhotoFilter):
    """Albums into which one photo was put by hand."""

    through = AlbumPhoto.objects.all()
    back = "album"


DELETE = dialog(
    title=_("Delete the album?"),
    description=_("Its photos stay. This cannot be undone."),
    submit=_("Delete"),
    is_destructive=True,
)


@admin.register(Album)
class AlbumAdmin(OfferedByLibraryMixin, PhotoPicturesMixin, LargeListAdmin):
    """Albums are filled through the API; here they are looked through, named and deleted."""

    list_display = ("cover_shown", "title", "shown_kind", "photos_in_it", "library", "created_by", "created_at")
    list_display_links = ("cover_shown", "title")
    list_select_related = ("library", "created_by")
    list_filter = (row_filters.AlbumKindFilter, ("library", filters.VisibleSelectFilter), AlbumPhotoFilter)
    list_filter_submit = True
    search_fields = ("title",)
    fields = (
        "title", "description", "kind", "library", "created_by", "created_at", "photos_in_it", "cover_file",
        "filter_in_words",
    )  # fmt: skip
    readonly_fields = fields[2:]
    actions_detail = ("remove",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Album]:
        """Albums that the user may see, with their cover and whether they are long."""
        entries = AlbumPhoto.objects.filter(album=OuterRef("pk"))
        return Album.objects.visible_to(request.user).with_cover(request.user).annotate(entries=BoundedCount(entries))

    def get_fields(self, request: HttpRequest, obj: Album | None = None) -> tuple[str, ...]:
        """Show the filter of those that have one."""
        is_smart = obj is not None and obj.kind == AlbumKind.SMART
        return self.fields if is_smart else tuple(one for one in self.fields if one != "filter_in_words")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Read the covers and the numbers of photos of the page with a query each."""
        changelist = super().get_changelist_instance(request)
        found = list(changelist.result_list)
        _read_covers(found, request.user)
        _count_photos(found, request.user)
        return changelist

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Albums are made by who puts photos into them."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Album | None = None) -> bool:
        """Let those change albums who may edit photos in that library."""
        is_allowed = obj is None or may(request.user, Permission.EDIT_PHOTOS, library_id=obj.library_id)
        return is_allowed and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Album | None = None) -> bool:
        """Albums go by `remove`."""
        return False

    def has_edit_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whether the user may change albums where their role allows it."""
        return request.user.has_perm("gallery.change_album")

    def save_model(self, request: HttpRequest, obj: Album, form: forms.ModelForm, change: bool) -> None:
        """Change title and description."""
        values = {name: form.cleaned_data[name] for name in form.changed_data}
        albums.change_album(album=obj, by=request.user, values=values)

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer to delete it to those who may."""
        album = self.get_object(request, object_id)
        is_allowed = album is not None and self.has_change_permission(request, album)
        return super().get_actions_detail(request, object_id) if is_allowed else []

    @action(description=_("Delete"), icon="delete", permissions=["edit"], dialog=DELETE)
    def remove(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Delete an album."""
        album = self.existing(request, object_id)
        if not self.has_change_permission(request, album):
            raise PermissionDenied(Permission.EDIT_PHOTOS)
        try:
            albums.delete_album(album=album, by=request.user)
        except DomainError as error:
            messages.error(request, error.detail)
            return reload_page()
        messages.success(request, _("The album is deleted."))
        return HttpResponse(headers={"HX-Redirect": reverse("admin:gallery_album_changelist")})

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Album | None = None, **kwargs: Any
    ) -> HttpResponse:
        """Say in which order the photos are shown."""
        if obj is not None:
            is_manual = obj.kind == AlbumKind.MANUAL
            context["pictures_title"] = _("Photos, in their order") if is_manual else _("Photos, newest first")
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)

    def get_form(self, request: HttpRequest, obj: Album | None = None, **kwargs: Any) -> type[forms.ModelForm]:
        """Read what the page says of cover, people and number, as far as the user may see them."""
        if obj is not None:
            _read_covers([obj], request.user)
            obj.people_named = _people_named(obj.filter, request.user)
            obj.photo_count = self.pictured(request, obj).order_by()[: COUNTED_AT_MOST + 1].count()
        form = super().get_form(request, obj, **kwargs)
        if "description" in form.base_fields:
            form.base_fields["description"].widget.attrs["rows"] = 3
        return form

    def pictured(self, request: HttpRequest, obj: Album) -> QuerySet[Photo]:
        """Give the photos that the page shows, in the album's order."""
        seen = Photo.objects.visible_to(request.user)
        if obj.kind == AlbumKind.MANUAL:
            # joined: the order is that of the same rows
            return seen.filter(album_photos__album=obj).order_by("album_photos__position")
        return row_filters.photos_of(obj, seen, request=request).order_by("-pk")

    def pictured_url(self, obj: Album) -> str:
        """Give the address of all of them."""
        return f"{reverse('admin:photos_photo_changelist')}?albums__id__exact={obj.pk}"

    @display(description="")
    def cover_shown(self, album: Album) -> SafeString:
        """The chosen photo, else the first."""
        return files.NO_THUMBNAIL if album.cover_photo is None else files.thumbnail(album.cover_photo)

    @display(description=_("cover"))
    def cover_file(self, album: Album) -> SafeString | str:
        """The cover, and which photo it is."""
        photo = album.cover_photo
        if photo is None:
            return "-"
        said = _t("chosen") if album.cover_id == photo.pk else _t("the first photo")
        url = reverse("admin:photos_photo_change", args=[photo.pk])
        return format_html(
            '{} <a class="dr-link" href="{}">{}</a> <span class="dr-sub">{}</span>',
            files.thumbnail(photo),
            url,
            photo.original_filename or photo.pk,
            said,
        )

    @display(description=_("kind"), label=KIND_LABELS)
    def shown_kind(self, album: Album) -> tuple[str, Any]:
        """By hand, or by a filter."""
        return album.kind, album.get_kind_display()

    @display(description=_("photos"))
    def photos_in_it(self, album: Album) -> SafeString:
        """How many photos are in it; a smart one's are counted on its page, and the way to them."""
        shown = _t("as its filter finds") if album.photo_count is None else in_words(album.photo_count)
        return format_html('<a class="dr-link" href="{}">{}</a>', self.pictured_url(album), shown)

    @display(description=_("filter"))
    def filter_in_words(self, album: Album) -> SafeString:
        """The stored filter, a line each."""
        rows = _filter_rows(album.filter, getattr(album, "people_named", {}))
        lines = [format_html("<dt>{}</dt><dd>{}</dd>", name, value) for name, value in rows]
        return format_html('<dl class="dr-facts">{}</dl>', SafeString("".join(lines)))


def _read_covers(found: list[Album], user: User) -> None:
    """Give albums their `cover_photo`: a photo with its renditions that the user may see, or None."""
    ids = {album.shown_cover for album in found} - {None}
    photos = Photo.objects.visible_to(user).filter(pk__in=ids).prefetch_related(files.smallest_renditions())
    covers = {photo.pk: photo for photo in photos} if ids else {}
    for album in found:
        album.cover_photo = covers.get(album.shown_cover)


def _count_photos(found: list[Album], user: User) -> None:
    """Give albums their `photo_count`, of photos that the user may see, as far as that is cheap.

    A long one is not counted, and a smart one has None: on its page.
    """
    count_photos([one for one in found if one.kind == AlbumKind.SMART or one.entries <= COUNTED_AT_MOST], user=user)
    for album in found:
        if album.kind == AlbumKind.MANUAL and album.entries > COUNTED_AT_MOST:
            album.photo_count = album.entries


def _people_named(given: Mapping[str, Any], user: User) -> dict[UUID, str]:
    """Name the people whom a filter asks for, those that the user may see."""
    wanted = {parse(one) for one in _values(given.get("person", ()))} - {None}
    return {one.pk: str(one) for one in Person.objects.visible_to(user).filter(pk__in=wanted)} if wanted else {}


def _filter_rows(given: Mapping[str, Any], people: Mapping[UUID, str]) -> Iterator[tuple[str, str]]:
    """Give what a stored filter asks for, in words."""
    for name, value in sorted(given.items()):
        shown = [_shown(one, people if name == "person" else {}) for one in _values(value)]
        yield name.replace("_", " "), ", ".join(shown)


def _shown(value: object, people: Mapping[UUID, str]) -> str:
    if isinstance(value, bool):
        return _t("yes") if value else _t("no")
    return people.get(parse(value), str(value)) if people else str(value)


def _values(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else [value]
