from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7


class ModelSelection(models.Model):
    """A model that this installation runs for a task: the one in use, and those being backfilled beside it.

    The weights hash is recorded when it is selected, so that the web process can plan runs without having the model.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    task = models.CharField(_("task"), max_length=32)
    model = models.CharField(_("model"), max_length=64)
    weights_hash = models.CharField(_("weights hash"), max_length=64)
    in_use = models.BooleanField(_("in use"), default=False)
    selected_at = models.DateTimeField(_("selected"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("selected model")
        verbose_name_plural = _("selected models")
        constraints = [
            models.UniqueConstraint(fields=["task", "model"], name="model_selection_task_model_unique"),
            # two models in use would give two answers to one question
            models.UniqueConstraint(fields=["task"], name="model_selection_one_in_use", condition=Q(in_use=True)),
        ]

    def __str__(self) -> str:
        return f"{self.task}: {self.model}"
