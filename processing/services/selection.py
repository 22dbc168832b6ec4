"""The models in use: rows that everybody reads, not a guess made by each worker."""

from django.db import transaction

from accounts.problems import ConflictError
from processing.engines import catalogue
from processing.engines.installation import InstalledModel
from processing.kinds.plan import PLAN
from processing.models import ModelSelection
from processing.pipeline.planning import lock_plan_for_change
from processing.services import grouping


@transaction.atomic
def select_model(*, installed: InstalledModel, in_use: bool) -> ModelSelection:
    """Run a model for its task: in use, or beside the one that is, as a backfill that a later flip finds ready.

    Asks for its runs to be planned for the photos that are there, in the background. A model that was in use stays
    selected, so that flipping back needs no work; `drop_model` ends that. Groups are made anew, since they were made
    of another model's vectors: that says the version of the grouping.
    """
    lock_plan_for_change()
    model = catalogue.get(installed.name)
    if in_use:
        ModelSelection.objects.filter(task=model.task, in_use=True).exclude(model=model.name).update(in_use=False)
    selection, _ = ModelSelection.objects.update_or_create(
        task=model.task, model=model.name, defaults={"weights_hash": installed.weights_hash}
    )
    if in_use and not selection.in_use:
        selection.in_use = True
        selection.save(update_fields=["in_use"])
    PLAN.request_for_all()
    grouping.request_where_due()
    return selection


@transaction.atomic
def drop_model(*, name: str) -> None:
    """Stop running a model that is not in use; its vectors stay, its open runs are ended in the background.

    Raises ConflictError for the model in use.
    """
    lock_plan_for_change()
    if ModelSelection.objects.filter(model=name, in_use=True).exists():
        raise ConflictError(f"{name} is in use: use another model first.")
    ModelSelection.objects.filter(model=name).delete()
    PLAN.request_for_all()
