"""The page of dead letters: what failed in the same way stands together, and is dealt with together."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from unfold.forms import BaseDialogForm

from accounts.admin_dialogs import ask, dialog, reload_page
from accounts.models import Library, User
from accounts.roles import Permission
from gallery.admin import files, run_actions
from gallery.admin.base import page, require
from gallery.admin.durations import duration
from gallery.admin.filters import CHOICES_LIMIT
from gallery.admin.run_actions import DISCARD_GROUP, DiscardForm
from gallery.admin.visibility import visible_library_runs, visible_runs
from photos.models import Photo
from processing.consent import ERASURES
from processing.dead_letters import narrow
from processing.error_codes import Explanation, explain
from processing.models import LibraryRun, RunState, StageRun
from processing.models.ledger import Run
from processing.services import dead_letters

GROUPS_ON_PAGE = 100
# the two ledgers, as an address names them
STAGE, LIBRARY = LEDGERS = ("stage", "library")


@dataclass(frozen=True, slots=True)
class Choice:
    """Which dead letters are meant: by the page's filters or, with a fingerprint, one group. What is empty is open."""

    work: str = ""
    error_code: str = ""
    library: str = ""
    fingerprint: str = ""

    @classmethod
    def of(cls, request: HttpRequest) -> "Choice":
        """Read the choice from the address."""
        return cls(**{field.name: request.GET.get(field.name, "") for field in fields(cls)})

    def stage_runs(self, user: User, permission: str = Permission.VIEW_PROCESSING) -> QuerySet[StageRun]:
        """Dead stage runs that are meant, of libraries where the user holds the permission."""
        return self._narrow(visible_runs(user, permission).dead())

    def library_runs(self, user: User, permission: str = Permission.VIEW_PROCESSING) -> QuerySet[LibraryRun]:
        """Dead library runs that are meant, of libraries where the user holds the permission."""
        return self._narrow(visible_library_runs(user, permission).dead())

    def _narrow(self, runs: QuerySet[Run]) -> QuerySet[Run]:
        """Keep what is meant; a value that no row can have means none of them, never all of them."""
        if "\x00" in f"{self.work}{self.error_code}{self.fingerprint}":
            return runs.none()
        try:
            library_id = UUID(self.library) if self.library else None
        except ValueError:
            return runs.none()
        given = {"work": self.work, "error_code": self.error_code, "fingerprint": self.fingerprint}
        return narrow(runs, library_id=library_id, **given)


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group of dead letters as the page shows it. What the user may not do has no address."""

    group: "dead_letters.DeadLetterGroup"
    explanation: Explanation
    count: str
    thumbnail: str
    photo_url: str
    photo_name: str
    first_seen: str
    last_seen: str
    more_libraries: int
    runs_url: str
    sample_url: str
    download_url: str
    retry_url: str
    discard_url: str


def urls() -> list[URLPattern]:
    """Give the addresses of the page and of what can be done about a group."""
    view = admin.site.admin_view
    return [
        path("dead_letters/", view(dead_letters_page), name="dead_letters"),
        path("dead_letters/<str:ledger>/retry/", view(retry_group), name="dead_letters_retry"),
        path("dead_letters/<str:ledger>/discard/", view(discard_group), name="dead_letters_discard"),
        path("dead_letters/<str:ledger>/download/", view(download_group), name="dead_letters_download"),
    ]


def dead_letters_page(request: HttpRequest) -> HttpResponse:
    """Show the groups of dead letters, the one with the latest first."""
    require(request, "processing.view_stagerun")
    choice = Choice.of(request)
    groups = dead_letters.groups(choice.stage_runs(request.user), choice.library_runs(request.user))
    return page(
        request,
        "admin/dead_letters/page.html",
        title=_("Dead letters"),
        rows=_rows(groups[:GROUPS_ON_PAGE], choice, request.user),
        summary=_summary(groups),
        more_groups=max(0, len(groups) - GROUPS_ON_PAGE),
        filters=_filters(choice, request.user),
        choice=choice,
        is_filtered=choice != Choice(),
    )


def retry_group(request: HttpRequest, ledger: str) -> HttpResponse:
    """Ask, and let the runs of a group start over."""
    runs = _processable(request, ledger)
    form = BaseDialogForm(request, data=request.POST or None)
    if form.is_valid():
        run_actions.retry(request, runs)
        return reload_page()
    count, shown = run_actions.count(runs)
    asked = dialog(
        title=ngettext("Retry %s dead run?", "Retry %s dead runs?", count) % shown,
        description=_("They start over, with all their attempts; what waits for them moves when they are done."),
        submit=_("Retry"),
    )
    return ask(request, asked=asked, form=form)


def discard_group(request: HttpRequest, ledger: str) -> HttpResponse:
    """Ask for a reason, and give up the runs of a group."""
    runs = _processable(request, ledger)
    form = DiscardForm(request, data=request.POST or None)
    if form.is_valid():
        run_actions.discard(request, runs, reason=form.cleaned_data["reason"])
        return reload_page()
    count, shown = run_actions.count(runs)
    title = ngettext("Discard %s dead run?", "Discard %s dead runs?", count) % shown
    return ask(request, asked=DISCARD_GROUP | {"title": title}, form=form)


def download_group(request: HttpRequest, ledger: str) -> HttpResponseBase:
    """Give the runs of a group with their errors and tracebacks."""
    require(request, "processing.view_stagerun")
    choice = Choice.of(request)
    name = "-".join(part for part in ("dead-letters", choice.work, choice.fingerprint) if part)
    return run_actions.download(_meant(request, ledger, Permission.VIEW_PROCESSING), name=slugify(name))


def _meant(request: HttpRequest, ledger: str, permission: str) -> QuerySet[Run]:
    """Give the runs of the group in the address; without a group there are none."""
    choice = Choice.of(request)
    if ledger not in LEDGERS or not choice.fingerprint:
        raise Http404("The address names no group of dead letters.")
    chosen = choice.library_runs if ledger == LIBRARY else choice.stage_runs
    return chosen(request.user, permission)


def _processable(request: HttpRequest, ledger: str) -> QuerySet[Run]:
    runs = _meant(request, ledger, Permission.RETRY_PROCESSING)
    require(request, f"processing.change_{runs.model._meta.model_name}")
    return runs


def _rows(groups: "list[dead_letters.DeadLetterGroup]", choice: Choice, user: User) -> list[GroupRow]:
    samples = Photo.objects.filter(pk__in=[group.sample_photo_id for group in groups if group.sample_photo_id])
    photos = samples.prefetch_related(files.smallest_renditions()).in_bulk()
    now = timezone.now()
    return [_row(group, photos.get(group.sample_photo_id), choice, user, now) for group in groups]


def _row(
    group: "dead_letters.DeadLetterGroup", photo: Photo | None, choice: Choice, user: User, now: datetime
) -> GroupRow:
    model = "libraryrun" if group.is_library_work else "stagerun"
    meant = {"work": group.work, "error_code": group.error_code, "fingerprint": group.fingerprint}
    query = urlencode(meant | ({"library": choice.library} if choice.library else {}))
    ledger = LIBRARY if group.is_library_work else STAGE
    may_process = user.has_perm(f"processing.change_{model}")
    # what is owed to be erased is not given up
    may_discard = may_process and group.work not in ERASURES
    return GroupRow(
        group=group,
        explanation=explain(group.error_code),
        count=f"{group.count:,}",
        thumbnail=files.thumbnail(photo) if photo else "",
        photo_url=reverse("admin:photos_photo_change", args=[photo.pk]) if photo else "",
        photo_name=photo.original_filename if photo else "",
        first_seen=duration(now - group.first_seen),
        last_seen=duration(now - group.last_seen),
        more_libraries=group.library_count - len(group.libraries),
        runs_url=_runs_url(group, model, choice),
        sample_url=reverse(f"admin:processing_{model}_change", args=[group.sample_run_id]),
        download_url=f"{reverse('admin:dead_letters_download', args=[ledger])}?{query}",
        retry_url=f"{reverse('admin:dead_letters_retry', args=[ledger])}?{query}" if may_process else "",
        discard_url=f"{reverse('admin:dead_letters_discard', args=[ledger])}?{query}" if may_discard else "",
    )


def _runs_url(group: "dead_letters.DeadLetterGroup", model: str, choice: Choice) -> str:
    """Give the address of the list of a group's runs."""
    filters = {
        "kind" if group.is_library_work else "stage": group.work,
        "state__exact": RunState.DEAD,
        "error_code": group.error_code,
        "fingerprint": group.fingerprint,
        "library__id__exact" if group.is_library_work else "photo__library__id__exact": choice.library,
    }
    query = urlencode({name: value for name, value in filters.items() if value})
    return f"{reverse(f'admin:processing_{model}_changelist')}?{query}"


def _summary(groups: "list[dead_letters.DeadLetterGroup]") -> str:
    count = sum(group.count for group in groups)
    letters = ngettext("%(count)s dead letter", "%(count)s dead letters", count) % {"count": f"{count:,}"}
    return ngettext("%(letters)s in %(count)d group", "%(letters)s in %(count)d groups", len(groups)) % {
        "letters": letters,
        "count": len(groups),
    }


def _filters(choice: Choice, user: User) -> list[dict[str, Any]]:
    """Give the filters with what there is to choose: of all dead letters, whatever else is chosen."""
    everything = Choice()
    runs, library_runs = everything.stage_runs(user), everything.library_runs(user)
    works = sorted({*_distinct(runs, "stage"), *_distinct(library_runs, "kind")})
    codes = sorted({*_distinct(runs, "error_code"), *_distinct(library_runs, "error_code")})
    dead_in = Q(pk__in=runs.values("photo__library")) | Q(pk__in=library_runs.values("library"))
    libraries = Library.objects.filter(dead_in).order_by("name").values_list("pk", "name")[:CHOICES_LIMIT]
    named = [(str(pk), name) for pk, name in libraries]
    return [
        _filter("work", _("Stage"), _("All stages"), [(work, work) for work in works], choice.work),
        _filter("error_code", _("Error"), _("All errors"), [(code, code) for code in codes], choice.error_code),
        _filter("library", _("Library"), _("All libraries"), named, choice.library),
    ]


def _filter(name: str, label: str, everything: str, options: list[tuple[str, str]], chosen: str) -> dict[str, Any]:
    # what was chosen and is gone meanwhile is still said to be chosen
    more = [] if not chosen or chosen in dict(options) else [(chosen, chosen)]
    return {"name": name, "label": label, "options": [("", everything), *options, *more], "chosen": chosen}


def _distinct(runs: QuerySet[Run], column: str) -> list[str]:
    return list(runs.order_by().values_list(column, flat=True).distinct()[:CHOICES_LIMIT])
