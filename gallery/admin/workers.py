"""The models that run and the workers that are there, in the admin."""

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from gallery.admin.base import ReadOnlyAdmin
from processing.models import ModelSelection, WorkerPresence


@admin.register(ModelSelection)
class ModelSelectionAdmin(ReadOnlyAdmin):
    """Models that this installation runs; `manage.py models` changes them."""

    list_display = ("task", "model", "in_use", "weights", "selected_at")
    ordering = ("task", "-in_use", "model")

    @display(description=_("weights"))
    def weights(self, selection: ModelSelection) -> str:
        """The beginning of the weights' hash."""
        return selection.weights_hash[:12]


@admin.register(WorkerPresence)
class WorkerPresenceAdmin(ReadOnlyAdmin):
    """Workers that have said they are there."""

    list_display = ("name", "alive", "queue_names", "device", "processes", "memory", "started_at", "seen_at")
    ordering = ("-seen_at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[WorkerPresence]:
        """Workers, and whether they were heard of lately."""
        alive = WorkerPresence.objects.alive().filter(pk=OuterRef("pk"))
        return super().get_queryset(request).annotate(is_alive=Exists(alive))

    @display(description=_("alive"), boolean=True)
    def alive(self, worker: WorkerPresence) -> bool:
        """Whether it was heard of lately."""
        return worker.is_alive

    @display(description=_("queues"))
    def queue_names(self, worker: WorkerPresence) -> str:
        """The queues that it serves."""
        return ", ".join(worker.queues)

    @display(description=_("memory"))
    def memory(self, worker: WorkerPresence) -> str | None:
        """Resident memory."""
        return None if worker.memory_bytes is None else filesizeformat(worker.memory_bytes)
