from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class StagePause(models.Model):
    """A stage, or a kind of library work, of which nothing is claimed: a row here pauses it, for every worker at once.

    Made by a person, or by the circuit, which pauses a stage whose recent runs all fail for one reason that is the
    infrastructure's. The circuit's own lets one run through at `probe_at`, to see whether the trouble is over.
    """

    work = models.CharField(_("stage"), max_length=32, primary_key=True)
    paused_at = models.DateTimeField(_("paused"), default=timezone.now)
    paused_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="stage_pauses",
        verbose_name=_("paused by"),
    )
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    # set by the circuit: the code that all recent runs failed with, and when one run may try again
    error_code = models.CharField(_("error"), max_length=64, blank=True)
    probe_at = models.DateTimeField(_("tries again at"), null=True)
    probes = models.PositiveIntegerField(_("tries so far"), default=0)

    class Meta:
        verbose_name = _("paused stage")
        verbose_name_plural = _("paused stages")
        constraints = [
            # a circuit that never tried again would have to be lifted by hand
            models.CheckConstraint(
                condition=Q(error_code="", probe_at__isnull=True) | Q(error_code__gt="", probe_at__isnull=False),
                name="stage_pause_circuit_tries_again",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.work}: paused"

    @property
    def is_circuit(self) -> bool:
        """Whether it lifts itself."""
        return bool(self.error_code)


class Canary(models.Model):
    """One row per queue that a worker of it must move: a worker that is there and deaf is seen by it.

    The reconciler rings for it; the task that comes back sets `moved_at`. Both times are the database's.
    """

    queue = models.CharField(_("queue"), max_length=32, primary_key=True)
    rung_at = models.DateTimeField(_("rung"))
    moved_at = models.DateTimeField(_("moved"), null=True)
    worker = models.CharField(_("moved by"), max_length=255, blank=True)

    class Meta:
        verbose_name = _("canary")
        verbose_name_plural = _("canaries")

    def __str__(self) -> str:
        return f"canary of {self.queue}"


class Sweep(models.Model):
    """One row per task that beat sends: when somebody began it last, and when it was last done. Times of the database.

    Of messages that have piled up the first is enough.
    """

    name = models.CharField(_("task"), max_length=32, primary_key=True)
    began_at = models.DateTimeField(_("began"))
    ended_at = models.DateTimeField(_("ended"), null=True)

    class Meta:
        verbose_name = _("sweep")
        verbose_name_plural = _("sweeps")

    def __str__(self) -> str:
        return f"sweep {self.name}"
