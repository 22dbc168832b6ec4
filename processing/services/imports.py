"""What a person does about imports: starts, pauses, resumes and cancels them, and has a source read again."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from accounts.access import require
from accounts.models import AuditAction, Library, User
from accounts.problems import ConflictError, InvalidValueError, NotFoundError
from accounts.roles import Permission
from accounts.services import audit
from photos import storage
from processing.importing.counts import complete
from processing.kinds.importing import IMPORTING
from processing.models import Import, ImportMode, ImportState, LibraryRun, RunState
from processing.models.imports import KIND
from processing.stages.base import SUPERSEDED

_ONE_OPEN = "import_one_open"


class SourceNotAllowedError(InvalidValueError):
    """A place that no import may read: IMPORT_SOURCES does not name it, or the path leads out of it."""

    code = "source_not_allowed"

    def __init__(self, detail: str, *, field: str) -> None:
        super().__init__(detail, field=field, reason=self.code)


class ImportIsOpenError(ConflictError):
    """The same place is being imported into the library already; `import` names that import."""

    code = "import_is_open"


class ImportHasEndedError(ConflictError):
    """The import is finished or cancelled: nothing of it goes on."""

    code = "import_has_ended"


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """A source as a person is told of it: never where it lies. `kind` is `folder` or `bucket`."""

    name: str
    kind: str


def sources() -> list[SourceFacts]:
    """Give the sources that IMPORT_SOURCES names."""
    return [SourceFacts(name, _kind_of(storage.source(name))) for name in storage.source_names()]


def start(
    *,
    library_id: UUID,
    source: str,
    by: User,
    path: str = "",
    mode: ImportMode = ImportMode.COPY,
    dry_run: bool = False,
    verify: bool = False,
) -> Import:
    """Have what lies at a path of a source taken into a library, in the background; gives the import.

    `by` becomes the uploader. With `dry_run` files are counted, and none is read; with `verify` those are read again
    that are as they were. Raises NotFoundError, NotPermittedError unless `by` may upload there, SourceNotAllowedError,
    InvalidValueError where there is no such path, ImportIsOpenError, and SourceUnavailableError.
    """
    library = Library.objects.visible_to(by).filter(pk=library_id).first()
    if library is None:
        raise NotFoundError("There is no such library, or you may not see it.")
    require(by, Permission.UPLOAD_PHOTOS, library_id=library.pk)
    # as a shell completes it; a slash alone leads out
    path = path if path == "/" else path.removesuffix("/")
    _check_place(source, path)
    made = Import(library=library, source=source, path=path, requested_by=by, counts=complete({}))
    made.mode, made.is_dry_run, made.verify = mode, dry_run, verify
    with transaction.atomic():
        _save(made)
        IMPORTING.request(library_ids=[library.pk], subject=str(made.pk))
        # a path may name people
        details = {"source": source, "mode": str(mode), "dry_run": dry_run, "verify": verify}
        _tell(AuditAction.IMPORT_STARTED, made, by, details)
    made.refresh_from_db()
    return made


def rescan(*, import_id: UUID, by: User, verify: bool = False) -> Import:
    """Read the place of an import again, as another import: finds what is new, changed or missing there.

    Raises NotFoundError, and as `start` does.
    """
    one = _visible(import_id, by)
    return start(library_id=one.library_id, source=one.source, path=one.path, mode=one.mode, by=by, verify=verify)


@transaction.atomic
def pause(*, import_id: UUID, by: User) -> Import:
    """Let an import rest behind the file that is being taken in. Paused once more, it stays so.

    Raises NotFoundError, ImportHasEndedError.
    """
    one = _visible(import_id, by)
    if Import.objects.filter(pk=one.pk, state=ImportState.RUNNING).update(state=ImportState.PAUSED, pause_code=""):
        _tell(AuditAction.IMPORT_PAUSED, one, by)
    return _open_one(one.pk)


@transaction.atomic
def resume(*, import_id: UUID, by: User) -> Import:
    """Let an import go on that is paused, or whose work has failed; one that runs stays so.

    Raises NotFoundError, ImportHasEndedError.
    """
    one = _visible(import_id, by)
    # the runs before the import, as workers take them
    _supersede_dead_runs(one)
    IMPORTING.request(library_ids=[one.library_id], subject=str(one.pk))
    changed = Import.objects.filter(pk=one.pk, state=ImportState.PAUSED).update(
        state=ImportState.RUNNING, pause_code=""
    )
    if changed or one.shown_state == ImportState.FAILED:
        _tell(AuditAction.IMPORT_RESUMED, one, by)
    return _open_one(one.pk)


@transaction.atomic
def cancel(*, import_id: UUID, by: User) -> Import:
    """End an import behind the file that is being taken in; what it has taken in stays. Raises as `pause` does.

    One that was cancelled before stays so.
    """
    one = _visible(import_id, by)
    _supersede_dead_runs(one)
    stopped = Import.objects.filter(pk=one.pk, state__in=(ImportState.RUNNING, ImportState.PAUSED)).update(
        state=ImportState.CANCELLED, pause_code="", finished_at=Now()
    )
    if stopped:
        _tell(AuditAction.IMPORT_CANCELLED, one, by)
    elif one.state == ImportState.FINISHED:
        raise ImportHasEndedError("The import is finished.")
    one.refresh_from_db()
    return one


def _visible(import_id: UUID, by: User) -> Import:
    one = Import.objects.visible_to(by).with_state().filter(pk=import_id).first()
    if one is None:
        raise NotFoundError("There is no such import.")
    return one


def _open_one(import_id: UUID) -> Import:
    one = Import.objects.with_state().get(pk=import_id)
    if one.finished_at is not None:
        raise ImportHasEndedError("The import has ended. Have its place read again instead.")
    return one


def _check_place(source: str, path: str) -> None:
    names = storage.source_names()
    if source not in names:
        told = f"There are: {', '.join(names)}." if names else "IMPORT_SOURCES names none."
        raise SourceNotAllowedError(f"There is no such source. {told}", field="source")
    try:
        storage.check_path(path)
        # opens the folder, following no link
        next(storage.source(source).walk(path), None)
    except storage.UnsafePathError as error:
        raise SourceNotAllowedError(str(error), field="path") from error
    except FileNotFoundError as error:
        raise InvalidValueError("There is no such folder or file in the source.", field="path") from error


def _save(made: Import) -> None:
    made.full_clean(validate_unique=False, validate_constraints=False)
    try:
        with transaction.atomic():
            made.save(force_insert=True)
    except IntegrityError as error:
        if error.__cause__.diag.constraint_name != _ONE_OPEN:
            raise
        place = {"library": made.library_id, "source": made.source, "path": made.path}
        other = Import.objects.filter(**place, finished_at__isnull=True).values_list("pk", flat=True).first()
        told = {"import": str(other)} if other else {}
        raise ImportIsOpenError("An import of this place into the library has not ended.", **told) from error


def _supersede_dead_runs(one: Import) -> None:
    dead = LibraryRun.objects.dead().filter(kind=KIND, subject=str(one.pk), library_id=one.library_id)
    dead.update(state=RunState.SKIPPED, skip_reason=SUPERSEDED)


def _tell(action: AuditAction, one: Import, by: User, details: Mapping[str, object] | None = None) -> None:
    audit.record(action=action, actor=by, library_id=one.library_id, subject=one, details=details)


def _kind_of(source: storage.Source) -> str:
    return "folder" if isinstance(source, storage.SourceFolder) else "bucket"
