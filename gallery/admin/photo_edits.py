"""Correcting what is said of a photo, on a page of its own: by the service and the rules of `PATCH /photos/{id}`."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from accounts.problems import DomainError
from accounts.roles import Permission
from gallery.admin.base import page
from gallery.admin.edit_words import name_of
from gallery.admin.visibility import may
from gallery.api.serializers.edits import PhotoChangesSerializer
from gallery.photo_facts import wall_clock
from photos.models import Photo, Tag
from photos.services.edits import CORRECTIONS
from photos.services.shown import CAPTION_LENGTH, TITLE_LENGTH
from processing.services import photo_edits

STARS = [("", _("as the file says")), *((str(stars), str(stars)) for stars in range(6))]
COORDINATES = 2


class CorrectionForm(forms.Form):
    """What is true of a photo. Only what somebody changes in it is said: fields remember what they were shown with."""

    title = forms.CharField(
        label=_("Title"), max_length=TITLE_LENGTH, required=False, widget=UnfoldAdminTextInputWidget
    )
    caption = forms.CharField(
        label=_("Caption"),
        max_length=CAPTION_LENGTH,
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )
    tags = forms.CharField(
        label=_("Tags"),
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        help_text=_("One in a line. Those that are missing are made."),
    )
    rating = forms.ChoiceField(label=_("Rating"), choices=STARS, required=False, widget=UnfoldAdminSelectWidget)
    taken_at = forms.CharField(
        label=_("Taken"),
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_(
            "As 2026-05-01 14:30:00+02:00, by the camera's clock; without an offset its zone is not known. Empty: as "
            "the file says."
        ),
    )
    position = forms.CharField(
        label=_("Position"),
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Latitude and longitude in degrees, as 48.85837, 2.29448. Empty: none is shown."),
    )
    is_hidden = forms.BooleanField(label=_("Hidden from visitors"), required=False, widget=UnfoldBooleanWidget)
    restored = forms.MultipleChoiceField(
        label=_("Back to what the file says"), required=False, widget=UnfoldAdminCheckboxSelectMultipleWidget
    )

    def __init__(self, *args: Any, photo: Photo, permitted: Collection[str], **kwargs: Any) -> None:
        self.shown = _values_of(photo)
        super().__init__(*args, initial=self.shown, **kwargs)
        if Permission.EDIT_PHOTOS not in permitted:
            self.fields = {"is_hidden": self.fields["is_hidden"]}
        if Permission.MODERATE_PHOTOS not in permitted:
            del self.fields["is_hidden"]
        for name in self.fields.keys() & self.shown.keys():
            self.fields[name].show_hidden_initial = True
        if "restored" in self.fields:
            corrected = [name for name in CORRECTIONS if name in photo.corrections]
            self.fields["restored"].choices = [(name, name_of(name)) for name in corrected]
            if not corrected:
                del self.fields["restored"]

    def clean(self) -> dict[str, Any]:
        """Read what is said, by the rules of the API; refuse what somebody else has changed since it was shown."""
        given = super().clean()
        said: dict[str, Any] = {}
        for name in self.changed_data:
            if name in self.shown and name in given:
                if self._before(name) == _lines(self.shown[name]):
                    said[name] = self._read(name, given[name])
                else:
                    self.add_error(name, _("Somebody has changed it meanwhile. Open the page again to see how."))
        said |= dict.fromkeys(given.get("restored", ()))
        checked = PhotoChangesSerializer(data={name: value for name, value in said.items() if name not in self.errors})
        if not checked.is_valid():
            for name, errors in checked.errors.items():
                self.add_error(name, _flat(errors))
        self.said = checked.validated_data if not self.errors else {}
        return given

    def _read(self, name: str, value: Any) -> Any:
        """Give a value as the API takes it."""
        if name == "tags":
            return [line.strip() for line in value.splitlines() if line.strip()]
        if name in ("rating", "taken_at"):
            return value.strip() or None
        if name == "position":
            return self._position(value)
        return value

    def _position(self, value: str) -> dict[str, Any] | None:
        parts = [one.strip() for one in value.split(",")] if value.strip() else [None, None]
        if len(parts) != COORDINATES:
            self.add_error("position", _("Two numbers, with a comma between them."))
            return None
        return dict(zip(("latitude", "longitude"), parts, strict=True))

    def _before(self, name: str) -> Any:
        """Give what the page was shown with."""
        field = self.fields[name]
        shown = field.hidden_widget().value_from_datadict(self.data, self.files, self.add_initial_prefix(name))
        return field.to_python(shown) if name == "is_hidden" else _lines(shown or "")


def correction_page(request: HttpRequest, photo: Photo) -> HttpResponse:
    """Show what is said of a photo as a form, and say what somebody changes in it. Raises PermissionDenied."""
    permitted = corrections_permitted(request, photo)
    if not permitted:
        raise PermissionDenied(Permission.EDIT_PHOTOS)
    if photo.trashed_at is not None:
        messages.error(request, _("It lies in the trash: bring it back first."))
        return redirect("admin:photos_photo_change", photo.pk)
    form = CorrectionForm(request.POST or None, photo=photo, permitted=permitted)
    if request.method == "POST" and form.is_valid():
        done = _said(request, lambda: _say(photo, form.said, request))
        if done:
            return redirect("admin:photos_photo_change", photo.pk)
    context = {"photo": photo, "form": form, "media": form.media, "opts": Photo._meta}
    return page(request, "admin/photos/photo/correct.html", title=_("Correct what is shown"), **context)


def corrections_permitted(request: HttpRequest, photo: Photo) -> list[str]:
    """Give what of editing and hiding the user may do with a photo."""
    if not request.user.has_perm("photos.change_photo"):
        return []
    wanted = (Permission.EDIT_PHOTOS, Permission.MODERATE_PHOTOS)
    return [one for one in wanted if may(request.user, one, library_id=photo.library_id)]


def _say(photo: Photo, said: Mapping[str, Any], request: HttpRequest) -> bool:
    """Say it; tells whether anything changed."""
    return bool(said and photo_edits.edit_photos(photos=[(photo.library_id, photo.pk)], said=said, by=request.user))


def _said(request: HttpRequest, change: Callable[[], bool]) -> bool:
    """Tell the user what came of a correction; gives whether it was not refused."""
    try:
        is_changed = change()
    except DomainError as error:
        messages.error(request, error.detail)
        return False
    if is_changed:
        messages.success(request, _("It is corrected. The history below can take it back."))
    else:
        messages.warning(request, _("Nothing was changed."))
    return True


def _values_of(photo: Photo) -> dict[str, Any]:
    """Give what is shown of a photo, as the form has it."""
    there = wall_clock(photo)
    if there is not None and photo.taken_at_offset is None:
        there = there.replace(tzinfo=None)
    worn = Tag.objects.filter(photo_tags__photo=photo, photo_tags__is_taken_off=False)
    has_position = photo.latitude is not None and photo.longitude is not None
    return {
        "title": photo.title,
        "caption": photo.caption,
        "tags": "\n".join(worn.order_by("key").values_list("name", flat=True)),
        "rating": "" if photo.rating is None else str(photo.rating),
        "taken_at": "" if there is None else there.isoformat(sep=" "),
        "position": f"{photo.latitude}, {photo.longitude}" if has_position else "",
        "is_hidden": photo.is_hidden,
    }


def _lines(value: Any) -> Any:
    """Give a text with the ends of lines that Python knows: forms send others."""
    return value.replace("\r\n", "\n") if isinstance(value, str) else value


def _flat(errors: Any) -> list[str]:
    """Give what a serializer says of a field, however deep it says it."""
    if isinstance(errors, Mapping):
        return [text for one in errors.values() for text in _flat(one)]
    if isinstance(errors, list):
        return [text for one in errors for text in _flat(one)]
    return [str(errors)]
