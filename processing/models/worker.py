from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

ALIVE_FOR = timedelta(seconds=45)


class WorkerPresenceQuerySet(models.QuerySet["WorkerPresence"]):
    """Reads of the workers that have said they are there."""

    def alive(self) -> Self:
        """Workers heard of lately, by the database's clock."""
        return self.filter(seen_at__gt=Now() - ALIVE_FOR)

    def taking_work(self) -> Self:
        """Live workers that were not told to take nothing new."""
        return self.alive().filter(draining_since__isnull=True)


class WorkerPresence(models.Model):
    """A worker process that is there: its queues, and the stage versions that it knows.

    Written every few seconds by the worker itself, so that "no worker has this model" is a query and needs no broker.
    """

    name = models.CharField(_("name"), max_length=255, primary_key=True)
    queues = models.JSONField(_("queues"), default=list)
    # stage name -> versions that this worker can run
    versions = models.JSONField(_("versions by stage"), default=dict)
    processes = models.PositiveSmallIntegerField(_("processes"), default=1)
    device = models.CharField(_("device"), max_length=16, blank=True)
    metrics_port = models.PositiveIntegerField(_("metrics port"), null=True)
    memory_bytes = models.BigIntegerField(_("resident memory"), null=True)
    started_at = models.DateTimeField(_("started"))
    seen_at = models.DateTimeField(_("last seen"))
    # since when it takes nothing new: it is being stopped, or drained by hand
    draining_since = models.DateTimeField(_("takes nothing new since"), null=True)

    objects = WorkerPresenceQuerySet.as_manager()

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")

    def __str__(self) -> str:
        return self.name
