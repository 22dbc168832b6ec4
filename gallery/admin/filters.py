"""Filters of the admin's lists. None of them reads a large table to offer its choices."""

from datetime import datetime, time, timedelta
from typing import Any, ClassVar

from django.contrib.admin import ModelAdmin
from django.db.models import Exists, Field, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import AutocompleteSelectFilter, DropdownFilter, RadioFilter, RangeDateFilter
from unfold.contrib.filters.forms import AutocompleteDropdownForm
from unfold.utils import parse_date_str

from accounts.models import KeyState
from gallery.admin.visibility import countable_faces
from gallery.models import ShareState
from photos.models.face import FaceQuerySet
from processing.dead_letters import failed_alike
from processing.kinds import registry as kinds
from processing.models import StageRun
from processing.stages import registry
from processing.states import PhotoState, in_state

CHOICES_LIMIT = 100
Choices = list[tuple[str, object]]


class VisibleChoiceForm(AutocompleteDropdownForm):
    """The choice of a row, by a search; the page names the chosen one only if the user may see it."""

    def __init__(
        self, *, request: HttpRequest, name: str, field: Field, model_admin: ModelAdmin, **kwargs: Any
    ) -> None:
        super().__init__(request=request, name=name, field=field, model_admin=model_admin, **kwargs)
        related = model_admin.admin_site.get_model_admin(field.remote_field.model)
        self.fields[name].queryset = related.get_queryset(request)


class VisibleSelectFilter(AutocompleteSelectFilter):
    """Rows of one library, or of one person."""

    form_class = VisibleChoiceForm


class StateFilter(DropdownFilter):
    """Photos in one derived state."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        """Offer every state."""
        return list(PhotoState.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """Keep the photos in the chosen state."""
        value = self.value()
        return in_state(queryset, value) if value in PhotoState.values else queryset


class TrashFilter(RadioFilter):
    """Photos outside of the trash, unless those in it are asked for."""

    title = _("trash")
    parameter_name = "trash"
    all_option: ClassVar[list[object]] = ["", _("Not in the trash")]

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        """Offer the trash; the other choice is the default."""
        return [("1", _("In the trash"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """Keep one side of the trash's lid."""
        return queryset.filter(trashed_at__isnull=self.value() != "1")


class KeyStateFilter(RadioFilter):
    """API keys in one state."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        """Offer every state."""
        return list(KeyState.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """Keep the keys in the chosen state."""
        value = self.value()
        return queryset.filter(state=value) if value in KeyState.values else queryset


class ShareStateFilter(RadioFilter):
    """Shares in one state."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        """Offer every state."""
        return list(ShareState.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """Keep the shares in the chosen state."""
        value = self.value()
        return queryset.filter(state=value) if value in ShareState.values else queryset


class FormatFilter(DropdownFilter):
    """Photos of one file format."""

    title = _("format")
    parameter_name = "format"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        """Offer what can be taken in."""
        return [(name, name) for name in ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "HEIF")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """Keep the photos of the chosen format."""
        return queryset.filter(image_format=self.value()) if self.value() else queryset


class HasFacesFilter(RadioFilter):
    """Photos with or without a kept face."""

    title = _("faces")
    parameter_name = "faces"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        """Offer both."""
        return [("1", _("With faces")), ("0", _("Without faces"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """Keep the photos that have kept faces which the user may see, or those that have none."""
        has_faces = Exists(countable_faces(request.user).filter(photo=OuterRef("pk")))
        return {"1": queryset.filter(has_faces), "0": queryset.filter(~has_faces)}.get(self.value() or "", queryset)


class DayRangeFilter(RangeDateFilter):
    """From one day to another, both included, in the current time zone."""

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """Keep what lies between the start of the first day and the end of the last."""
        begin = self._midnight("from")
        end = self._midnight("to")
        if begin is not None:
            queryset = queryset.filter(**{f"{self.parameter_name}__gte": begin})
        if end is not None:
            queryset = queryset.filter(**{f"{self.parameter_name}__lt": end + timedelta(days=1)})
        return queryset

    def _midnight(self, side: str) -> datetime | None:
        day = parse_date_str(self.used_parameters.get(f"{self.parameter_name}_{side}"))
        return None if day is None else timezone.make_aware(datetime.combine(day, time.min))


class NamedFilter(RadioFilter):
    """People with or without a name."""

    title = _("name")
    parameter_name = "named"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        """Offer both."""
        return [("1", _("Named")), ("0", _("Unnamed"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """Keep the named or the unnamed."""
        unnamed = Q(name="")
        return {"1": queryset.exclude(unnamed), "0": queryset.filter(unnamed)}.get(self.value() or "", queryset)


class HiddenFilter(RadioFilter):
    """People who are not hidden, unless those who are are asked for."""

    title = _("hidden")
    parameter_name = "hidden"
    all_option: ClassVar[list[object]] = ["", _("Not hidden")]

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        """Offer the hidden; the other choice is the default."""
        return [("1", _("Hidden"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """Keep the hidden or the others."""
        return queryset.filter(is_hidden=self.value() == "1")


class KeptFilter(RadioFilter):
    """Faces that are kept, and candidates below the floor of confidence."""

    title = _("kept")
    parameter_name = "kept"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        """Offer both."""
        return [("1", _("Kept")), ("0", _("Candidates"))]

    def queryset(self, request: HttpRequest, queryset: FaceQuerySet) -> FaceQuerySet:
        """Keep the kept ones or the candidates."""
        if self.value() == "1":
            return queryset.kept()
        return queryset.candidates() if self.value() == "0" else queryset


class BelongsFilter(RadioFilter):
    """Faces that belong to somebody, and those that belong to nobody yet."""

    title = _("person")
    parameter_name = "belongs"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        """Offer both."""
        return [("1", _("Somebody's")), ("0", _("Nobody's yet"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """Keep the faces with a person, or those without."""
        return queryset.filter(person__isnull=self.value() == "0") if self.value() in ("0", "1") else queryset


class StageFilter(DropdownFilter):
    """Runs of one stage."""

    title = _("stage")
    parameter_name = "stage"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        """Offer the stages that there are."""
        return [(stage.name, stage.name) for stage in registry.all_stages()]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """Keep the runs of the chosen stage."""
        return queryset.filter(stage=self.value()) if self.value() else queryset


class KindFilter(DropdownFilter):
    """Library runs of one kind."""

    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        """Offer the kinds that there are."""
        return [(kind.name, kind.name) for kind in kinds.all_kinds()]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """Keep the runs of the chosen kind."""
        return queryset.filter(kind=self.value()) if self.value() else queryset


class ErrorCodeFilter(DropdownFilter):
    """Runs with one error: dead ones, and those that will be tried again."""

    title = _("error")
    parameter_name = "error_code"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        """Offer what runs that the user may see are dead of: the index of dead letters is all that is read."""
        codes = (
            model_admin.get_queryset(request)
            .prefetch_related(None)
            .dead()
            .order_by()
            .values_list("error_code", flat=True)
            .distinct()
        )
        return [(code, code) for code in sorted(codes[:CHOICES_LIMIT])]

    def has_output(self) -> bool:
        """Show the filter also while nothing is dead."""
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[StageRun]) -> QuerySet[StageRun]:
        """Keep the runs with the chosen error."""
        return queryset.filter(error_code=self.value()) if self.value() else queryset


class FingerprintFilter(DropdownFilter):
    """Runs that failed in one way; offered where a link has chosen it."""

    title = _("fingerprint")
    parameter_name = "fingerprint"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        """Offer the one that is chosen: there may be thousands."""
        chosen = request.GET.get(self.parameter_name)
        return [(chosen, chosen)] if chosen else []

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """Keep the runs with the chosen fingerprint, the dead ones that are older than fingerprints too."""
        chosen = self.value()
        if not chosen:
            return queryset
        return queryset.filter(failed_alike(queryset.model.objects.dead(), chosen))
