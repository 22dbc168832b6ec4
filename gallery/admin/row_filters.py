"""Filters that links choose: rows that have to do with one other row; and those of decisions, edits and albums."""

from abc import ABC, abstractmethod
from typing import Any
from uuid import UUID

from django.contrib.admin import ModelAdmin
from django.core.exceptions import ValidationError
from django.db.models import Exists, ForeignKey, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import ValidationError as BadFilterError
from unfold.contrib.filters.admin import DropdownFilter, RadioFilter
from unfold.contrib.filters.forms import AutocompleteDropdownForm

from accounts.ids import parse
from gallery import photo_selection
from gallery.admin.filters import Choices, VisibleSelectFilter
from gallery.models import Album, AlbumPhoto
from gallery.models.album import AlbumKind
from photos.models import DecisionKind, Edit, Person, PersonDecision, Photo, PhotoTag, Revision


class LinkedFilter(DropdownFilter, ABC):
    """Rows that have to do with another one, whose id a link gives; not offered otherwise."""

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        """Offer the one that is chosen: there may be very many."""
        written = request.GET.get(self.parameter_name)
        chosen = parse(written)
        return [(written, written if chosen is None else self.named(request, chosen))] if written else []

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """Keep the rows that have to do with the chosen one."""
        if self.value() is None:
            return queryset
        chosen = parse(self.value())
        return queryset.none() if chosen is None else self.linked(request, queryset, chosen)

    @abstractmethod
    def named(self, request: HttpRequest, chosen: UUID) -> object:
        """Name the chosen row, as far as the user may see it."""

    @abstractmethod
    def linked(self, request: HttpRequest, queryset: QuerySet, chosen: UUID) -> QuerySet:
        """Narrow the list."""


class AboutFilter(LinkedFilter):
    """Decisions about a person: also those that gave them a face, or took one away."""

    title = _("about")
    parameter_name = "about"

    def named(self, request: HttpRequest, chosen: UUID) -> object:
        """Name the person."""
        return Person.objects.merged_too(request.user).filter(pk=chosen).first() or chosen

    def linked(
        self, request: HttpRequest, queryset: QuerySet[PersonDecision], chosen: UUID
    ) -> QuerySet[PersonDecision]:
        """Keep the decisions about them."""
        return queryset.about(Person(pk=chosen))


class EditFilter(LinkedFilter):
    """Photos that an edit changed, for whom edits are shown."""

    title = _("edit")
    parameter_name = "edit"

    def named(self, request: HttpRequest, chosen: UUID) -> object:
        """Name it by its time."""
        edit = Edit.objects.visible_to(request.user).filter(pk=chosen).first()
        return chosen if edit is None else f"{edit.created_at:%Y-%m-%d %H:%M}"

    def linked(self, request: HttpRequest, queryset: QuerySet[Photo], chosen: UUID) -> QuerySet[Photo]:
        """Keep its photos."""
        edits = Edit.objects.visible_to(request.user).filter(pk=chosen)
        return queryset.filter(Exists(Revision.objects.filter(photo=OuterRef("pk"), edit__in=edits)))


class PhotoFilter(LinkedFilter):
    """Tags, albums or edits of one photo. `path` says how they lead to it."""

    title = _("photo")
    parameter_name = "photo"
    through: Any
    back: str

    def named(self, request: HttpRequest, chosen: UUID) -> object:
        """Name the photo by its file."""
        photo = Photo.objects.visible_to(request.user).filter(pk=chosen).only("original_filename").first()
        return chosen if photo is None else photo.original_filename or chosen

    def linked(self, request: HttpRequest, queryset: QuerySet, chosen: UUID) -> QuerySet:
        """Keep those of the photo, if the user may see it."""
        seen = Photo.objects.visible_to(request.user).filter(pk=chosen)
        return queryset.filter(Exists(self.through.filter(**{self.back: OuterRef("pk")}, photo__in=seen)))


class EditedPhotoFilter(PhotoFilter):
    """Edits of one photo."""

    through = Revision.objects.all()
    back = "edit"


class SeenChoiceForm(AutocompleteDropdownForm):
    """The choice of a row that the user may see, read without what its own list shows of it."""

    def __init__(self, *, request: HttpRequest, name: str, field: ForeignKey, **kwargs: Any) -> None:
        super().__init__(request=request, name=name, field=field, **kwargs)
        self.fields[name].queryset = field.remote_field.model.objects.visible_to(request.user)


class ThroughFilter(VisibleSelectFilter):
    """Photos that a row of another table puts somewhere; `through` leads there, and is what the search names it by."""

    form_class = SeenChoiceForm
    through: ForeignKey

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # the other end of a relation is not searched by
        self.field = self.through


class TagFilter(ThroughFilter):
    """Photos with a tag that nobody took off them."""

    through = PhotoTag._meta.get_field("tag")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Photo]) -> QuerySet[Photo]:
        """Keep them; asked for without a join, which would count those that were taken off."""
        if not self.value():
            return queryset
        chosen = parse(self.value())
        worn = PhotoTag.objects.worn().filter(photo=OuterRef("pk"), tag=chosen, tag__is_removed=False)
        return queryset.filter(Exists(worn)) if chosen else queryset.none()


class AlbumFilter(ThroughFilter):
    """Photos of an album, of a smart one too."""

    through = AlbumPhoto._meta.get_field("album")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Photo]) -> QuerySet[Photo]:
        """Keep those that were put into it, or that its own filter keeps."""
        if not self.value():
            return queryset
        album = Album.objects.visible_to(request.user).filter(pk=parse(self.value())).first()
        return queryset.none() if album is None else photos_of(album, queryset, request=request)


def photos_of(album: Album, photos: QuerySet[Photo], *, request: HttpRequest) -> QuerySet[Photo]:
    """Keep the photos of an album, in no order; none where its filter is none that this release knows."""
    if album.kind == AlbumKind.MANUAL:
        return photos.filter(Exists(album.album_photos.filter(photo=OuterRef("pk"))))
    try:
        return photo_selection.narrowed(photos.filter(library=album.library_id), album.filter, request=request)
    except (BadFilterError, ValidationError):
        return photos.none()


class CorrectedFilter(RadioFilter):
    """Photos of which somebody corrected something, or hid them."""

    title = _("corrected")
    parameter_name = "corrected"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        """Offer what people say."""
        return [("1", _("Corrected")), ("hidden", _("Hidden from visitors"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Photo]) -> QuerySet[Photo]:
        """Keep them."""
        kept = {"1": ~Q(corrections={}), "hidden": Q(is_hidden=True)}.get(self.value() or "")
        return queryset if kept is None else queryset.filter(kept)


class AlbumKindFilter(RadioFilter):
    """Albums made by hand, and those with a filter."""

    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        """Offer both."""
        return list(AlbumKind.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Album]) -> QuerySet[Album]:
        """Keep one kind."""
        return queryset.filter(kind=self.value()) if self.value() in AlbumKind.values else queryset


class DecisionKindFilter(DropdownFilter):
    """Decisions of one kind."""

    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        """Offer every kind."""
        return list(DecisionKind.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[PersonDecision]) -> QuerySet[PersonDecision]:
        """Keep one kind."""
        return queryset.filter(kind=self.value()) if self.value() in DecisionKind.values else queryset


class UndoneFilter(RadioFilter):
    """Decisions that hold, and those that were undone."""

    title = _("state")
    parameter_name = "undone"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        """Offer both."""
        return [("0", _("Holds")), ("1", _("Undone"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[PersonDecision]) -> QuerySet[PersonDecision]:
        """Keep one of both."""
        return queryset.filter(undone_at__isnull=self.value() == "0") if self.value() in ("0", "1") else queryset


class EditStateFilter(RadioFilter):
    """Edits that go on, and those that were taken back."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        """Offer what an operator looks for."""
        return [("running", _("Under way")), ("undone", _("Taken back")), ("undoing", _("Takes another back"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Edit]) -> QuerySet[Edit]:
        """Keep one of them."""
        states = {
            "running": Q(selection__len__gt=0),
            "undone": Q(undone_by__isnull=False),
            "undoing": Q(undoes__isnull=False),
        }
        kept = states.get(self.value() or "")
        return queryset if kept is None else queryset.filter(kept)
