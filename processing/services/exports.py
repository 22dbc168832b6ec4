"""What a person does about exports: asks for them, streams them, deletes them; and the sweep of what is over."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Case, Exists, Func, OuterRef, QuerySet, Subquery, Sum, TextField, Value, When
from django.db.models import CharField as Text
from django.db.models.functions import Cast, Coalesce

from accounts.access import require
from accounts.models import AuditAction, User
from accounts.problems import ConflictError, DomainError, NotFoundError
from accounts.roles import Permission
from accounts.services import audit
from photos.models import Export, ExportFile, ExportState, Photo, Rendition
from photos.models.export import ORIGINALS, ExportMetadata
from photos.services import exports
from processing.exporting.packing import Package
from processing.kinds.exporting import EXPORT
from processing.models import LibraryRun, RunState
from processing.models.ledger import OPEN_STATES
from processing.services import object_sweeps
from processing.stages.base import SUPERSEDED

logger = logging.getLogger(__name__)

EXPIRED_AT_ONCE = 100

Selection = Sequence[tuple[UUID, UUID]]


class ExportTooLargeError(DomainError):
    """More than is sent while somebody waits; `photos` and `bytes` are the limits."""

    code = "export_too_large"


class TooManyExportsError(ConflictError):
    """The account has as many exports in the making, or kept, as it may; `limit` says how many."""

    code = "too_many_exports"


class ExportNotReadyError(ConflictError):
    """The export is being made, or could not be."""

    code = "export_not_ready"


class ExportOutdatedError(ConflictError):
    """A photo of it was moved to the trash, or hidden, since it was made."""

    code = "export_outdated"


class ExportExpiredError(DomainError):
    """The time of the export is over, and its files are deleted."""

    code = "export_expired"


class ExportWithdrawnError(DomainError):
    """The export was withdrawn; `reason` says why."""

    code = "export_withdrawn"


def with_state(rows: QuerySet[Export]) -> QuerySet[Export]:
    """Annotate exports with their `shown_state`, an ExportState: `failed` where no run works on a running one.

    And with `error_code`, that of the last run, empty where nothing is wrong; and with `byte_size`, that of all files.
    The photos are left unread.
    """
    runs = LibraryRun.objects.filter(
        library=OuterRef("library"), kind=EXPORT.name, subject=Cast(OuterRef("pk"), Text())
    )
    failed = When(
        ~Exists(runs.filter(state__in=OPEN_STATES)), state=ExportState.RUNNING, then=Value(ExportState.FAILED.value)
    )
    last = runs.order_by("-pk").values("error_code")[:1]
    sizes = ExportFile.objects.filter(export=OuterRef("pk")).order_by().values("export").annotate(sum=Sum("byte_size"))
    return rows.annotate(
        shown_state=Case(failed, default="state", output_field=Text()),
        error_code=Coalesce(Subquery(last), Value(""), output_field=TextField()),
        byte_size=Coalesce(Subquery(sizes.values("sum")), 0),
    ).defer("photo_ids")


@transaction.atomic
def request(*, photos: Selection, content: str, metadata: ExportMetadata, by: User) -> list[Export]:
    """Have photos, given as (library, photo), packed in the background; gives an export for each library.

    What is packed is what `by` may see and take when it is. Raises NotPermittedError without `originals.download` in
    each library, TooManyExportsError.
    """
    selected = _permitted(photos, by)
    # the account's row: two that are asked for at once are counted one after the other
    User.objects.select_for_update(no_key=True).filter(pk=by.pk).values_list("pk").first()
    if Export.objects.live().filter(requested_by=by).count() + len(selected) > settings.EXPORT_MAX_OPEN:
        told = "You have as many exports as you may: delete one, or wait until it expires."
        raise TooManyExportsError(told, limit=settings.EXPORT_MAX_OPEN)
    return [_request(library_id, ids, content, metadata, by) for library_id, ids in sorted(selected.items())]


@transaction.atomic
def stream(*, photos: Selection, content: str, metadata: ExportMetadata, by: User) -> Iterator[bytes]:
    """Give a zip of photos, given as (library, photo), that is made while it is read.

    Raises NotPermittedError without `originals.download` in each library, and ExportTooLargeError.
    """
    selected = _permitted(photos, by)
    ids = sorted(photo_id for _, photo_id in photos)
    if len(ids) > settings.EXPORT_STREAM_PHOTOS or _bytes_of(ids, content) > settings.EXPORT_STREAM_BYTES:
        raise ExportTooLargeError(
            "That is more than is sent at once: ask for it with `delivery` `background`.",
            photos=settings.EXPORT_STREAM_PHOTOS,
            bytes=settings.EXPORT_STREAM_BYTES,
        )
    for library_id, chosen in sorted(selected.items()):
        # there is no row that says later which photos they were
        details = {"content": content, "metadata": str(metadata), "photos": [str(one) for one in chosen]}
        audit.record(action=AuditAction.EXPORT_DOWNLOADED, actor=by, library_id=library_id, details=details)
    package = Package(photo_ids=ids, by=by, content=content, metadata=metadata, heading={"export": None, "file": 1})
    return package.chunks()


@transaction.atomic
def delete(*, exports_of: QuerySet[Export], by: User) -> int:
    """Delete exports with their files, also those that are being made; gives how many."""
    chosen = list(exports_of.defer("photo_ids").order_by("pk"))
    subjects = [str(one.pk) for one in chosen]
    dead = LibraryRun.objects.dead().filter(kind=EXPORT.name, subject__in=subjects)
    # nothing is left to be retried
    dead.update(state=RunState.SKIPPED, skip_reason=SUPERSEDED)
    count = exports.delete(exports=Export.objects.filter(pk__in=[one.pk for one in chosen]))
    for one in chosen:
        audit.record(action=AuditAction.EXPORT_DELETED, actor=by, library_id=one.library_id, subject=one)
    object_sweeps.ring()
    return count


def file_to_send(*, export: Export, number: int) -> ExportFile:
    """Give a file of an export that whoever asked for it may have now; `export` is one that they may see.

    Raises ExportNotReadyError, ExportExpiredError, ExportWithdrawnError, ExportOutdatedError, NotFoundError.
    """
    if export.state == ExportState.WITHDRAWN:
        raise ExportWithdrawnError("The export was withdrawn. Ask for another one.", reason=export.reason)
    if export.state == ExportState.EXPIRED or Export.objects.over().filter(pk=export.pk).exists():
        raise ExportExpiredError("The export has expired. Ask for another one.")
    if export.state != ExportState.READY:
        raise ExportNotReadyError("The export is not made yet.")
    file = export.files.filter(number=number).defer("photo_ids").first()
    if file is None:
        raise NotFoundError("The export has no such file.")
    # thousands, which need not come here and go back
    packed = ExportFile.objects.filter(pk=file.pk).values_list(Func("photo_ids", function="unnest"))
    visible = Photo.objects.visible_to(export.requested_by).filter(pk__in=packed)
    if visible.count() != file.photo_count:
        raise ExportOutdatedError("A photo of it was moved to the trash, or hidden, since. Ask for another export.")
    return file


@transaction.atomic
def note_download(*, file: ExportFile, by: User | None) -> None:
    """Write into the trail that a file was downloaded: by its asker, or by somebody who has its link."""
    audit.record(
        action=AuditAction.EXPORT_DOWNLOADED,
        actor=by,
        library_id=file.export.library_id,
        subject=file.export,
        details={"file": file.number, "photos": file.photo_count, "by_link": by is None},
    )


def sweep() -> int:
    """Delete the files of exports that are over; gives of how many."""
    count = 0
    while ended := exports.expire(limit=EXPIRED_AT_ONCE):
        count += ended
    if count:
        logger.info("%d exports have expired", count)
        object_sweeps.ring()
    return count


def _permitted(photos: Selection, by: User) -> dict[UUID, list[UUID]]:
    by_library: dict[UUID, list[UUID]] = defaultdict(list)
    for library_id, photo_id in sorted(photos):
        by_library[library_id].append(photo_id)
    for library_id in sorted(by_library):
        require(by, Permission.DOWNLOAD_ORIGINALS, library_id=library_id)
    return by_library


def _request(library_id: UUID, photo_ids: list[UUID], content: str, metadata: ExportMetadata, by: User) -> Export:
    made = Export(library_id=library_id, requested_by=by, content=content, metadata=metadata)
    made.photo_ids, made.photo_count = photo_ids, len(photo_ids)
    made.save(force_insert=True)
    EXPORT.request(library_ids=[library_id], subject=str(made.pk))
    audit.record(
        action=AuditAction.EXPORT_REQUESTED,
        actor=by,
        library_id=library_id,
        subject=made,
        details={"content": content, "metadata": str(metadata), "photos": len(photo_ids)},
    )
    return made


def _bytes_of(photo_ids: Sequence[UUID], content: str) -> int:
    originals = Photo.objects.filter(pk__in=photo_ids)
    rows = originals if content == ORIGINALS else Rendition.objects.filter(kind=content, photo__in=photo_ids)
    return rows.aggregate(sum=Coalesce(Sum("byte_size"), 0))["sum"]
