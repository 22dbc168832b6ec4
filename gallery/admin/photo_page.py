"""What the page of one photo shows: the preview with its faces, metadata in words, renditions, runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.formats import localize
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from accounts.models import User
from gallery.admin.base import PHOTO_STATE_LABELS, RUN_STATE_LABELS
from gallery.admin.durations import duration
from gallery.admin.files import chip_url, rendition_url
from gallery.admin.photo_history import tag_links
from gallery.admin.visibility import visible_runs
from gallery.photo_facts import camera_name, exposure, focal_length, wall_clock
from photos.models import Face, Metadata, Photo, is_kept
from photos.models.face import FaceQuerySet
from processing.error_codes import explain
from processing.models import RunState, StageRun
from processing.overview import Obstacles
from processing.stages import registry
from processing.states import PhotoState

Row = tuple[str, object]
PREVIEW, RENDITIONS = "preview", "renditions"


@dataclass(frozen=True, slots=True)
class FaceBox:
    """A face as it is drawn over the preview; the box is in per cent of the image's sides."""

    face: Face
    is_kept: bool
    label: str
    left: float
    top: float
    width: float
    height: float
    chip_url: str


@dataclass(frozen=True, slots=True)
class RunRow:
    """A stage run as a line of the table."""

    run: StageRun
    tone: str
    work: str | None
    total: str | None
    obstacle: str
    remedy: str
    warnings: list[str]


def photo_page(photo: Photo, *, user: User) -> dict[str, Any]:
    """Read everything that the page of `photo` shows to this user."""
    renditions = sorted(photo.renditions.all(), key=lambda rendition: -rendition.width)
    preview = next((one for one in renditions if one.kind == PREVIEW), renditions[0] if renditions else None)
    faces = _face_boxes(Face.objects.visible_to(user).filter(photo=photo))
    metadata = Metadata.objects.filter(pk=photo.pk).first()
    runs = _run_rows(visible_runs(user).filter(photo=photo))
    return {
        "photo": photo,
        "photo_state": (PhotoState(photo.state).label, PHOTO_STATE_LABELS[photo.state]),
        "preview": preview,
        "preview_url": rendition_url(preview) if preview else "",
        "original_url": reverse("admin:photos_photo_original", args=[photo.pk]),
        "why_url": reverse("admin:photos_photo_why", args=[photo.pk]) if user.is_superuser else "",
        "faces": faces,
        "kept_count": sum(one.is_kept for one in faces),
        "candidate_count": sum(not one.is_kept for one in faces),
        "file_rows": list(_file_rows(photo)),
        "shown_rows": list(_shown_rows(photo, user)),
        "metadata_rows": list(_metadata_rows(metadata)) if metadata else [],
        "position": _position(photo),
        "warnings": [_warning(one) for one in metadata.warnings] if metadata else [],
        "tags": sorted(_flatten(metadata.tags)) if metadata else [],
        "renditions": [(one, rendition_url(one), filesizeformat(one.byte_size)) for one in renditions],
        "runs": runs,
        # why there is no preview, if there is none
        "dead_renditions": next((one for one in runs if one.run.stage == RENDITIONS and one.remedy), None),
    }


def taken(of: Photo | Metadata) -> str:
    """Give the camera's wall clock, with its offset from UTC where that is known."""
    there = wall_clock(of)
    if there is None:
        return ""
    return f"{there:%Y-%m-%d %H:%M:%S}" if of.taken_at_offset is None else f"{there:%Y-%m-%d %H:%M:%S %Z}"


def _shown_rows(photo: Photo, user: User) -> Iterator[tuple[str, object, bool]]:
    """Tell what is shown: (name, value, whether somebody corrected it)."""
    rows = (
        ("title", _("Title"), photo.title),
        ("caption", _("Caption"), photo.caption),
        ("rating", _("Rating"), photo.rating),
        ("taken_at", _("Taken"), taken(photo)),
        ("position", _("Position"), _coordinates(photo)),
        ("place", _("Place"), ", ".join(filter(None, (photo.city, photo.region, photo.country)))),
        ("tags", _("Tags"), tag_links(photo, user=user)),
        ("is_hidden", _("Hidden from visitors"), _("yes") if photo.is_hidden else ""),
    )
    for name, label, value in rows:
        if name in photo.corrections:
            yield label, _("none") if value in {None, ""} else value, True
        elif value not in {None, ""}:
            yield label, value, False


def _face_boxes(faces: FaceQuerySet) -> list[FaceBox]:
    return [
        FaceBox(
            face=face,
            is_kept=face.kept,
            label=face.person.name if face.person else "",
            left=100 * face.left,
            top=100 * face.top,
            width=100 * (face.right - face.left),
            height=100 * (face.bottom - face.top),
            chip_url=chip_url(face.pk, face.chip_key),
        )
        for face in faces.annotate(kept=is_kept()).select_related("person").order_by("left", "top")
    ]


def _run_rows(runs: QuerySet[StageRun]) -> list[RunRow]:
    place = {stage.name: number for number, stage in enumerate(registry.all_stages())}
    in_order = sorted(runs, key=lambda run: (place.get(run.stage, len(place)), run.pk))
    obstacles = Obstacles()
    return [
        RunRow(
            run=run,
            tone=RUN_STATE_LABELS[RunState(run.state)],
            work=duration(run.work_seconds),
            total=duration(run.duration),
            obstacle=obstacles.of_run(run),
            remedy=str(explain(run.error_code).remedy) if run.state == RunState.DEAD else "",
            warnings=[_warning(one) for one in run.warnings],
        )
        for run in in_order
    ]


def _file_rows(photo: Photo) -> Iterator[Row]:
    yield _("File"), photo.original_filename or "-"
    yield _("Library"), photo.library
    yield _("Uploaded"), localize(localtime(photo.uploaded_at))
    yield _("Uploaded by"), photo.uploader or "-"
    yield _("Format"), f"{photo.image_format} ({photo.mime_type})"
    yield _("Size"), f"{photo.width} \u00d7 {photo.height} px · {filesizeformat(photo.byte_size)}"
    yield _("SHA-256"), photo.sha256
    yield _("Id"), photo.pk
    if photo.trashed_at:
        yield _("Moved to the trash"), localize(localtime(photo.trashed_at))


def _metadata_rows(metadata: Metadata) -> Iterator[Row]:
    """Give what is known, in words; what is not known has no row."""
    rows: list[Row] = [
        (_("Taken"), f"{taken(metadata)} ({metadata.taken_at_source})" if metadata.taken_at else ""),
        (_("Camera"), camera_name(metadata)),
        (_("Lens"), f"{metadata.lens_make} {metadata.lens}".strip()),
        (_("Exposure"), " · ".join(exposure(metadata))),
        (_("Focal length"), focal_length(metadata)),
        (_("Flash"), {True: _("fired"), False: _("did not fire")}.get(metadata.flash_fired, "")),
        (_("Orientation"), metadata.orientation),
        (_("Position"), _coordinates(metadata)),
        (_("Altitude"), _measured(metadata.altitude, "m")),
        (_("Direction"), _measured(metadata.direction, "°")),
        (_("GPS time"), metadata.gps_time and f"{metadata.gps_time:%Y-%m-%d %H:%M:%S} UTC"),
        (_("Title"), metadata.title),
        (_("Description"), metadata.description),
        (_("Keywords"), ", ".join(metadata.keywords)),
        (_("Rating"), metadata.rating),
        (_("Artist"), metadata.artist),
        (_("Copyright"), metadata.copyright),
        (_("Software"), metadata.software),
    ]
    return ((name, value) for name, value in rows if value not in (None, ""))


def _coordinates(of: Photo | Metadata) -> str:
    if of.latitude is None or of.longitude is None:
        return ""
    north, east = "NS"[of.latitude < 0], "EW"[of.longitude < 0]
    return f"{abs(of.latitude):.5f}° {north}, {abs(of.longitude):.5f}° {east}"


def _position(photo: Photo) -> dict[str, str] | None:
    """Give the coordinates as a map's address takes them: with points, whatever the language."""
    if photo.latitude is None or photo.longitude is None:
        return None
    return {"latitude": f"{photo.latitude:.5f}", "longitude": f"{photo.longitude:.5f}"}


def _measured(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.1f} {unit}"


def _warning(warning: object) -> str:
    """Say a warning of the EXIF reader as one line."""
    if isinstance(warning, dict):
        return " · ".join(str(value) for value in warning.values() if value not in (None, ""))
    return str(warning)


def _flatten(tags: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in tags.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}:")
        else:
            yield f"{prefix}{name}", ", ".join(map(str, value)) if isinstance(value, list) else str(value)
