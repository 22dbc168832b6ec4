from typing import Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Case, Exists, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Cast, Coalesce, Now
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from accounts.models import Library, User
from photos.models import Photo
from processing.models.ledger import OPEN_STATES, LibraryRun

KIND = "import"


class ImportMode(models.TextChoices):
    """What becomes of the originals."""

    COPY = "copy", _("copied")
    REFERENCE = "reference", _("referenced where they are")


class ImportState(models.TextChoices):
    """How an import stands. `failed` is in no row: it is a running one whose work has ended without it."""

    RUNNING = "running", _("running")
    PAUSED = "paused", _("paused")
    FINISHED = "finished", _("finished")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")


class ImportPhase(models.TextChoices):
    """What an import does in turn."""

    COUNTING = "counting", _("counting files")
    TAKING = "taking", _("taking files in")
    COMPARING = "comparing", _("looking for what is missing")
    DONE = "done", _("done")


class FileState(models.TextChoices):
    """What became of a file in the import that looked at it last."""

    ADDED = "added", _("added")
    DUPLICATE = "duplicate", _("the same bytes were there")
    UNCHANGED = "unchanged", _("as it was")
    CHANGED = "changed", _("changed, and taken in anew")
    REFUSED = "refused", _("refused")
    MISSING = "missing", _("missing")


STORED_STATES = tuple(state for state in ImportState if state != ImportState.FAILED)
ENDED_STATES = (ImportState.FINISHED, ImportState.CANCELLED)
# which may go on: no two of them read the same place at once
OPEN_IMPORT_STATES = (ImportState.RUNNING, ImportState.PAUSED)


class ImportQuerySet(models.QuerySet["Import"]):
    """Reads of imports."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Imports that `user` may see: the server's folders are for whoever runs the installation."""
        if not user.is_authenticated or not user.runs_installation:
            return self.none()
        return self.filter(library__erasure_requested_at__isnull=True)

    def with_state(self) -> Self:
        """Annotate each import with its `shown_state`, an ImportState: `failed` where no run works on a running one.

        `error_code` and `error_detail` are those of its last run, empty where nothing is wrong.
        """
        runs = LibraryRun.objects.filter(
            library=OuterRef("library"), kind=KIND, subject=Cast(OuterRef("pk"), models.CharField())
        )
        failed = When(
            ~Exists(runs.filter(state__in=OPEN_STATES)),
            state=ImportState.RUNNING,
            then=Value(ImportState.FAILED.value),
        )
        last, text = runs.order_by("-pk"), models.TextField()
        return self.annotate(
            shown_state=Case(failed, default="state", output_field=models.CharField()),
            error_code=Coalesce(Subquery(last.values("error_code")[:1]), Value(""), output_field=text),
            error_detail=Coalesce(Subquery(last.values("error_detail")[:1]), Value(""), output_field=text),
        )


class Import(models.Model):
    """One reading of a source, or of a path in it, into a library; reading it again is another import.

    `path` is below the source and written as text, as in `photos.storage`. `cursor` is where the present phase stands,
    `token` the lease of the run that may move it. `counts` are those of `processing.importing.counts`.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    library = models.ForeignKey(Library, verbose_name=_("library"), on_delete=models.CASCADE, related_name="imports")
    source = models.CharField(_("source"), max_length=24)
    path = models.CharField(_("path"), max_length=1000, blank=True)
    mode = models.CharField(_("originals"), max_length=9, choices=ImportMode.choices, default=ImportMode.COPY)
    is_dry_run = models.BooleanField(_("counts alone"), default=False)
    verify = models.BooleanField(_("reads unchanged files too"), default=False)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("started by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="imports",
    )
    state = models.CharField(_("state"), max_length=9, choices=ImportState.choices, default=ImportState.RUNNING)
    # why it paused by itself
    pause_code = models.CharField(_("reason of the pause"), max_length=64, blank=True)
    phase = models.CharField(_("phase"), max_length=9, choices=ImportPhase.choices, default=ImportPhase.COUNTING)
    cursor = models.TextField(blank=True, editable=False)
    token = models.UUIDField(null=True, editable=False)
    # known when they were counted
    total_files = models.PositiveBigIntegerField(_("files"), null=True, blank=True)
    total_bytes = models.PositiveBigIntegerField(_("bytes"), null=True, blank=True)
    counts = models.JSONField(_("counts"), default=dict, blank=True)
    # of work on the files, without pauses and waiting
    seconds = models.FloatField(_("seconds of work"), default=0)
    created_at = models.DateTimeField(_("started"), db_default=Now(), editable=False)
    finished_at = models.DateTimeField(_("ended"), null=True, editable=False)

    objects = ImportQuerySet.as_manager()

    class Meta:
        verbose_name = _("import")
        verbose_name_plural = _("imports")
        constraints = [
            models.CheckConstraint(condition=Q(state__in=STORED_STATES), name="import_state_known"),
            # two that read the same files at once would each take them for new
            models.UniqueConstraint(
                fields=["library", "source", "path"],
                name="import_one_open",
                condition=Q(state__in=OPEN_IMPORT_STATES),
            ),
            models.CheckConstraint(
                condition=Q(state__in=ENDED_STATES, finished_at__isnull=False)
                | (~Q(state__in=ENDED_STATES) & Q(finished_at__isnull=True)),
                name="import_ended_has_time",
            ),
        ]
        indexes = [models.Index(fields=["library", "-id"], name="import_library_newest")]

    def __str__(self) -> str:
        return f"{self.source}/{self.path}" if self.path else self.source

    @property
    def files_per_second(self) -> float | None:
        """How many files were looked at in a second of work; none before the first one."""
        files = self.counts.get("files", 0)
        return files / self.seconds if files and self.seconds else None

    @property
    def seconds_left(self) -> float | None:
        """How many seconds of work the rest takes at this pace; none where nobody knows, or nothing is left to do."""
        pace = self.files_per_second
        if pace is None or self.total_files is None or self.finished_at is not None:
            return None
        return max(0, self.total_files - self.counts["files"]) / pace


class ImportedFileQuerySet(models.QuerySet["ImportedFile"]):
    """Reads of what is remembered of files."""

    def below(self, path: str) -> Self:
        """Files at a path or below it; all of them for none."""
        return self.filter(Q(path=path) | Q(path__startswith=f"{path}/")) if path else self


class ImportedFile(models.Model):
    """What is remembered of a file in a source: as what it was read, and what became of it.

    There is one row a library for a file, or for a folder that could not be looked into (its path ends in a slash).
    `size`, `stamp` and `sha256` are those of the bytes that were read last; a file that has them is not read again.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    library = models.ForeignKey(Library, on_delete=models.CASCADE, related_name="imported_files")
    source = models.CharField(_("source"), max_length=24)
    path = models.CharField(_("path"), max_length=1000)
    size = models.BigIntegerField(_("size in bytes"), default=0)
    stamp = models.CharField(max_length=128, blank=True)
    sha256 = models.CharField(_("SHA-256"), max_length=64, blank=True)
    state = models.CharField(_("state"), max_length=9, choices=FileState.choices)
    # why it was refused
    code = models.CharField(_("error"), max_length=64, blank=True)
    detail = models.CharField(_("error detail"), max_length=400, blank=True)
    # nothing: it was refused, or the photo was deleted for good, and stays so
    photo = models.ForeignKey(Photo, null=True, on_delete=models.SET_NULL, related_name="imported_files")
    # of a file that has changed: the photo of what it was before, which may be gone by now
    previous_photo_id = models.UUIDField(_("photo of what it was"), null=True)
    # the sidecar that was read: its name, size and stamp; and why it was refused
    sidecar = models.CharField(_("sidecar"), max_length=1100, blank=True)
    sidecar_code = models.CharField(_("error of the sidecar"), max_length=64, blank=True)
    # the import that looked at it last, and when
    scan = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="files")
    seen_at = models.DateTimeField(_("seen"))

    objects = ImportedFileQuerySet.as_manager()

    class Meta:
        verbose_name = _("imported file")
        verbose_name_plural = _("imported files")
        constraints = [
            models.UniqueConstraint(fields=["library", "source", "path"], name="imported_file_path_unique"),
            # who is told that a file was refused wants to know why
            models.CheckConstraint(
                condition=(Q(state=FileState.REFUSED) & ~Q(code="")) | (~Q(state=FileState.REFUSED) & Q(code="")),
                name="imported_file_refused_has_code",
            ),
        ]
        indexes = [
            # what an import says of its files, newest first
            models.Index(fields=["scan", "state", "-id"], name="imported_file_scan_state"),
        ]

    def __str__(self) -> str:
        return f"{self.source}:{self.path}"
