from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7


class ObjectSweep(models.Model):
    """Objects to look at again: those under `prefix` that no row names are deleted at `due_at`.

    Written in the transaction that takes the rows away, and before the bytes of an upload are stored, so that a crash
    at any line leaves no object that nobody knows of. A prefix is swept once more at `final_at`, when the last process
    that might still write there has lost its lease.
    """

    class Reason(models.TextChoices):
        """Why objects may lie there that nobody wants."""

        UPLOAD = "upload", _("An upload that has not been committed")
        REPLACED = "replaced", _("Results that were made anew")
        LOST = "lost", _("A run that was lost or has died")
        FACES_OFF = "faces_off", _("Face analysis was switched off")
        PURGED = "purged", _("The photo was deleted")
        FORGOTTEN = "forgotten", _("A person was forgotten")
        EXPORT = "export", _("An export that was not finished, or is over")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    alias = models.CharField(_("storage"), max_length=32)
    # a photo's prefix, which ends in a slash, or the key of one original or of one file of an export
    prefix = models.CharField(_("prefix"), max_length=255)
    reason = models.CharField(_("reason"), max_length=16, choices=Reason.choices)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    due_at = models.DateTimeField(_("due"))
    final_at = models.DateTimeField(_("once more at"))
    # since then objects may have been deleted, so what was to name them must not be committed any more
    taken_at = models.DateTimeField(_("first taken up"), null=True, editable=False)

    class Meta:
        verbose_name = _("object sweep")
        verbose_name_plural = _("object sweeps")
        constraints = [
            # a second reason moves the times of the first
            models.UniqueConstraint(fields=["alias", "prefix"], name="object_sweep_prefix_unique"),
            models.CheckConstraint(condition=Q(due_at__lte=F("final_at")), name="object_sweep_due_before_final"),
        ]
        indexes = [models.Index(fields=["due_at"], name="object_sweep_due")]

    def __str__(self) -> str:
        return f"{self.alias}/{self.prefix}"
