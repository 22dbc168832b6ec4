"""What the admin's sidebar offers to whom, and the number of dead letters beside their page."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from gallery.admin.visibility import visible_library_runs, visible_runs

# the badge is on every page: it counts no further than a person would
BADGE_LIMIT = 999


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Give the groups of entries that the user may open."""
    user = request.user
    if user.must_enrol:
        # nothing else opens
        return [
            {"items": [{"title": _("Second factor"), "icon": "phonelink_lock", "link": reverse("admin:second_factor")}]}
        ]
    return [
        {"items": [{"title": _("Dashboard"), "icon": "monitoring", "link": reverse("admin:index")}]},
        _group(
            _("Photos"),
            _list(request, _("Photos"), "photo_library", "photos.photo"),
            _list(request, _("Albums"), "photo_album", "gallery.album"),
            _list(request, _("Tags"), "sell", "photos.tag"),
            _list(request, _("Edits"), "edit_note", "photos.edit"),
            _list(request, _("Near-duplicates"), "filter_none", "photos.duplicategroup"),
            _list(request, _("No duplicates"), "difference", "photos.duplicatedecision"),
        ),
        _group(
            _("People"),
            _list(request, _("People"), "groups", "photos.person"),
            _list(request, _("Faces"), "familiar_face_and_zone", "photos.face"),
            _list(request, _("Decisions"), "how_to_reg", "photos.persondecision"),
        ),
        _group(
            _("Libraries"),
            _list(request, _("Libraries"), "folder_copy", "accounts.library"),
            _list(request, _("Shares"), "share", "gallery.share"),
            _entry(_("Imports"), "drive_folder_upload", "admin:processing_import_changelist", user.runs_installation),
            _entry(_("Exports"), "folder_zip", "admin:photos_export_changelist", user.runs_installation),
        ),
        _group(
            _("Processing"),
            _entry(_("Pipeline"), "conveyor_belt", "admin:pipeline", user.has_perm("processing.view_stagepause")),
            _dead_letters(request),
            _list(request, _("Stage runs"), "timeline", "processing.stagerun"),
            _list(request, _("Library runs"), "account_tree", "processing.libraryrun"),
            _list(request, _("Uploads"), "upload", "processing.upload"),
            _list(request, _("Models"), "neurology", "processing.modelselection"),
            _list(request, _("Workers"), "dns", "processing.workerpresence"),
        ),
        _group(
            _("Access"),
            _list(request, _("Users"), "person", "accounts.user"),
            _list(request, _("Invitations"), "mail", "accounts.invitation"),
            _list(request, _("Roles"), "badge", "accounts.role"),
            _list(request, _("Audit trail"), "history", "accounts.auditevent"),
            _entry(_("API keys"), "key", "admin:accounts_apikey_changelist", user.runs_installation),
            _list(request, _("Staff groups"), "group", "auth.group"),
            _list(request, _("Erasure receipts"), "receipt_long", "accounts.erasurereceipt"),
        ),
    ]


def _group(title: str, *items: dict[str, Any] | None) -> dict[str, Any]:
    return {"title": title, "separator": True, "items": [item for item in items if item]}


def _entry(title: str, icon: str, page: str, may_view: bool) -> dict[str, Any] | None:
    return {"title": title, "icon": icon, "link": reverse(page)} if may_view else None


def _list(request: HttpRequest, title: str, icon: str, model: str) -> dict[str, Any] | None:
    """Give the entry for the list of a model, named as in `photos.photo`."""
    app, name = model.split(".")
    return _entry(title, icon, f"admin:{app}_{name}_changelist", request.user.has_perm(f"{app}.view_{name}"))


def _dead_letters(request: HttpRequest) -> dict[str, Any] | None:
    may_view = request.user.has_perm("processing.view_stagerun")
    entry = _entry(_("Dead letters"), "dangerous", "admin:dead_letters", may_view)
    if entry:
        runs = visible_runs(request.user).dead()
        library_runs = visible_library_runs(request.user).dead()
        count = sum(found[: BADGE_LIMIT + 1].count() for found in (runs, library_runs))
        # without a badge where there is nothing to count
        entry |= {"badge": f"{min(count, BADGE_LIMIT)}+" if count > BADGE_LIMIT else str(count)} if count else {}
    return entry
