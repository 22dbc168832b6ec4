from datetime import timedelta
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from accounts.models import Library
from photos.models import Photo


class RunState(models.TextChoices):
    """States of a run. A retry is `pending` with a `not_before`; `dead` waits for a person."""

    WAITING = "waiting", _("Waiting for its input")
    PENDING = "pending", _("Pending")
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    SKIPPED = "skipped", _("Skipped")
    DEAD = "dead", _("Dead")


OPEN_STATES = (RunState.WAITING, RunState.PENDING, RunState.RUNNING)
FINAL_STATES = (RunState.DONE, RunState.SKIPPED, RunState.DEAD)

# the `skip_reason` of a dead letter that a person has given up; of the runs below it, INPUT_DISCARDED
DISCARDED = "discarded"
INPUT_DISCARDED = "input_discarded"


class Lane(models.IntegerChoices):
    """Urgency: a person's upload goes before an import, an import before a backfill."""

    UPLOAD = 0, _("Upload")
    IMPORT = 1, _("Import")
    BACKFILL = 2, _("Backfill")


class RunQuerySet(models.QuerySet["Run"]):
    """Reads that both ledgers share."""

    def open(self) -> Self:
        """Runs that are not in a final state."""
        return self.filter(state__in=OPEN_STATES)

    def dead(self) -> Self:
        """Dead letters."""
        return self.filter(state=RunState.DEAD)


class Run(models.Model):
    """What both ledgers share. Times are the database's; only `processing.ledger` changes a state."""

    # the columns that name the kind of work, and what it is done on
    WORK: ClassVar[str]
    SUBJECT: ClassVar[str]

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # the code's version, a hash of the settings that shape the output and, for a model's work, the model
    version = models.CharField(_("version"), max_length=160)
    state = models.CharField(_("state"), max_length=8, choices=RunState.choices, default=RunState.PENDING)
    lane = models.PositiveSmallIntegerField(_("lane"), choices=Lane.choices, default=Lane.UPLOAD)
    attempt = models.PositiveSmallIntegerField(_("attempts"), default=0)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    queued_at = models.DateTimeField(_("pending since"), null=True)
    # of a run that came back: when it was pending first. `queued_at` moves with each return, the age that people are
    # shown must not
    first_queued_at = models.DateTimeField(_("first pending"), null=True)
    # how often it was handed back for trouble that others of its work did not have; by then it is its own
    hand_backs = models.PositiveSmallIntegerField(_("times handed back"), default=0, db_default=0)
    not_before = models.DateTimeField(_("not before"), null=True)
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(_("lease until"), null=True)
    task_id = models.CharField(_("Celery task"), max_length=64, blank=True)
    worker = models.CharField(_("worker"), max_length=255, blank=True)
    # of the worker's processes: a message that is given out again brings two of them to one Celery task
    process_id = models.PositiveIntegerField(null=True)
    # how many runs the last claim took: one lost in company is not yet known to be the culprit
    claimed_with = models.PositiveSmallIntegerField(default=0)
    # results that were committed since the run was opened: fencing lets one through, and this is how that is proved.
    # The database fills it in for an older release that works beside this one.
    commits = models.PositiveSmallIntegerField(_("committed results"), default=0, db_default=0)
    claim_alone = models.BooleanField(_("next claimed alone"), default=False)
    error_code = models.CharField(_("error"), max_length=64, blank=True)
    error_detail = models.TextField(_("error detail"), blank=True)
    # of the last error: the exception's type, the innermost frame of ours ("file.py:function"), and the whole story
    exception = models.CharField(_("exception"), max_length=128, blank=True)
    frame = models.CharField(_("frame"), max_length=200, blank=True)
    traceback = models.TextField(_("traceback"), blank=True)
    # a hash of work, code, exception and frame: what failed in the same way has the same one
    fingerprint = models.CharField(_("fingerprint"), max_length=16, blank=True)
    skip_reason = models.CharField(_("reason for skipping"), max_length=64, blank=True)
    # a dead letter that a person has given up, and why
    discarded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="discarded_%(class)ss",
        verbose_name=_("discarded by"),
    )
    discard_reason = models.CharField(_("reason for discarding"), max_length=400, blank=True)
    started_at = models.DateTimeField(_("started"), null=True)
    finished_at = models.DateTimeField(_("finished"), null=True)
    # a batch's time is shared out among its runs
    work_seconds = models.FloatField(_("seconds of work"), null=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.pk} {self.state}"

    @property
    def duration(self) -> timedelta | None:
        """Time from the claim to the commit; none while it is not finished."""
        if self.started_at is None or self.finished_at is None:
            return None
        return self.finished_at - self.started_at


def run_constraints(ledger: str) -> list[models.BaseConstraint]:
    """Build the constraints that hold the state machine, named for one ledger."""
    leased = Q(lease_token__isnull=False, lease_until__isnull=False, started_at__isnull=False)
    unleased = Q(lease_token__isnull=True, lease_until__isnull=True)
    return [
        models.CheckConstraint(condition=Q(state__in=RunState.values), name=f"{ledger}_state_known"),
        # a run without a lease that says running would be running for ever
        models.CheckConstraint(
            condition=(Q(state=RunState.RUNNING) & leased) | (~Q(state=RunState.RUNNING) & unleased),
            name=f"{ledger}_running_has_lease",
        ),
        # the oldest pending run is what an operator watches
        models.CheckConstraint(
            condition=~Q(state=RunState.PENDING) | Q(queued_at__isnull=False),
            name=f"{ledger}_pending_has_time",
        ),
        # a dead letter says why
        models.CheckConstraint(condition=~Q(state=RunState.DEAD) | ~Q(error_code=""), name=f"{ledger}_dead_has_error"),
        models.CheckConstraint(
            condition=Q(state=RunState.SKIPPED, skip_reason__gt="") | (~Q(state=RunState.SKIPPED) & Q(skip_reason="")),
            name=f"{ledger}_skipped_has_reason",
        ),
        models.CheckConstraint(
            condition=Q(state__in=FINAL_STATES, finished_at__isnull=False)
            | (~Q(state__in=FINAL_STATES) & Q(finished_at__isnull=True)),
            name=f"{ledger}_final_has_end",
        ),
        # whoever gives a dead letter up says why
        models.CheckConstraint(
            condition=~Q(skip_reason=DISCARDED) | Q(discard_reason__gt=""), name=f"{ledger}_discarded_has_reason"
        ),
    ]


class StageRun(Run):
    """One stage of one version for one photo."""

    WORK = "stage"
    SUBJECT = "photo_id"

    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="stage_runs")
    stage = models.CharField(_("stage"), max_length=32)
    # versions of the inputs that were consumed, by stage: "out of date" is a query
    inputs = models.JSONField(_("inputs"), default=dict, blank=True)
    # what was wrong with the file and did not keep the stage from its result: {code, field, detail} each
    warnings = models.JSONField(_("warnings"), default=list, blank=True)

    class Meta:
        verbose_name = _("stage run")
        verbose_name_plural = _("stage runs")
        constraints = [
            *run_constraints("stage_run"),
            # the ledger's key: running twice is the same row
            models.UniqueConstraint(fields=["photo", "stage", "version"], name="stage_run_photo_stage_version_unique"),
        ]
        indexes = [
            # the claim: the most urgent pending runs of a stage
            models.Index(
                F("stage"),
                F("lane"),
                F("queued_at"),
                name="stage_run_claim",
                condition=Q(state=RunState.PENDING),
            ),
            # the reconciler: leases that have run out
            models.Index(fields=["lease_until"], name="stage_run_lease", condition=Q(state=RunState.RUNNING)),
            # the parent that lost a child finds that child's runs
            models.Index(fields=["task_id"], name="stage_run_task", condition=Q(state=RunState.RUNNING)),
            # a photo's derived state
            models.Index(fields=["photo", "state"], name="stage_run_open", condition=Q(state__in=OPEN_STATES)),
            models.Index(
                fields=["stage", "error_code", "photo"],
                name="stage_run_dead",
                condition=Q(state=RunState.DEAD),
            ),
            # dead letters by what they have in common, newest last
            models.Index(
                fields=["fingerprint", "finished_at"],
                name="stage_run_fingerprint",
                condition=Q(state=RunState.DEAD),
            ),
            # dead letters, and what was given up, newest first: their keys, and not those of the whole ledger
            models.Index(fields=["id"], name="stage_run_dead_list", condition=Q(state=RunState.DEAD)),
            models.Index(fields=["id"], name="stage_run_discarded", condition=Q(skip_reason=DISCARDED)),
            # a switch of face analysis withdraws what was given up too, and holds everybody up who plans meanwhile
            models.Index(fields=["id"], name="stage_run_input_discarded", condition=Q(skip_reason=INPUT_DISCARDED)),
            # how much of a stage waits, however long the backlog of the stages before it
            models.Index(fields=["stage"], name="stage_run_waiting", condition=Q(state=RunState.WAITING)),
            # a stopping worker hands back what it holds
            models.Index(fields=["worker"], name="stage_run_worker", condition=Q(state=RunState.RUNNING)),
            # whether all recent runs of a stage fail for one reason: few of the pending ones have an error
            models.Index(
                fields=["stage", "queued_at"],
                name="stage_run_handed_back",
                condition=Q(state=RunState.PENDING, error_code__gt=""),
            ),
            # retries whose time has come
            models.Index(
                fields=["not_before"],
                name="stage_run_due",
                condition=Q(state=RunState.PENDING, not_before__isnull=False),
            ),
            # the oldest of what came back: few of the pending ones did
            models.Index(
                fields=["stage", "lane", "first_queued_at"],
                name="stage_run_came_back",
                condition=Q(state=RunState.PENDING, first_queued_at__isnull=False),
            ),
            # throughput of the last hour
            models.Index(fields=["finished_at"], name="stage_run_finished", condition=Q(finished_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.stage} of {self.photo_id}: {self.state}"


class LibraryRun(Run):
    """Work whose subject is a library; one open run per (library, kind, subject)."""

    WORK = "kind"
    SUBJECT = "library_id"

    library = models.ForeignKey(Library, on_delete=models.CASCADE, related_name="runs")
    kind = models.CharField(_("kind"), max_length=32)
    subject = models.CharField(_("subject"), max_length=160, blank=True)
    # what the finished work has to say, as counts
    report = models.JSONField(_("report"), default=dict, blank=True)
    # how far work that is done in steps has come, for whoever goes on with it; the database fills it in for an older
    # release that works beside this one
    progress = models.JSONField(_("progress"), default=dict, db_default={}, blank=True)

    class Meta:
        verbose_name = _("library run")
        verbose_name_plural = _("library runs")
        constraints = [
            *run_constraints("library_run"),
            models.UniqueConstraint(
                fields=["library", "kind", "subject"],
                name="library_run_one_open",
                condition=Q(state__in=OPEN_STATES),
            ),
        ]
        indexes = [
            models.Index(
                F("kind"),
                F("lane"),
                F("queued_at"),
                name="library_run_claim",
                condition=Q(state=RunState.PENDING),
            ),
            models.Index(fields=["lease_until"], name="library_run_lease", condition=Q(state=RunState.RUNNING)),
            # whether an erasure died, which planning asks for each photo
            models.Index(fields=["library", "kind"], name="library_run_dead", condition=Q(state=RunState.DEAD)),
            models.Index(fields=["id"], name="library_run_discarded", condition=Q(skip_reason=DISCARDED)),
            # throughput of the last minutes
            models.Index(fields=["finished_at"], name="library_run_finished", condition=Q(finished_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.library_id}: {self.state}"
