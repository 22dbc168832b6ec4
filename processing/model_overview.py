"""The models that there are: which are selected, which is in use, and whether a live worker serves them."""

from dataclasses import dataclass

from processing.engines import catalogue
from processing.models import ModelSelection, WorkerPresence
from processing.overview import MODEL_NOT_INSTALLED, NO_WORKER
from processing.stages import registry
from processing.stages.base import Stage


@dataclass(frozen=True, slots=True)
class ModelOverview:
    """A model of the catalogue. `workers` are the live ones that can run it as it was selected.

    `obstacle` says why a selected model's runs do not move: `no_worker` (nobody serves the queue),
    `model_not_installed` (those who do have other weights or none), or nothing.
    """

    name: str
    task: str
    is_selected: bool
    is_in_use: bool
    workers: list[str]
    obstacle: str


def models_overview() -> list[ModelOverview]:
    """Give every model of the catalogue, in its order."""
    selections = {row.model: row for row in ModelSelection.objects.all()}
    workers = list(WorkerPresence.objects.alive().order_by("name").values_list("name", "queues", "versions"))
    stages = {stage.model_task: stage for stage in registry.all_stages() if stage.model_task}
    return [
        _overview(model, stages[model.task], selections.get(model.name), workers)
        for model in catalogue.MODELS.values()
        if model.task in stages
    ]


def _overview(
    model: catalogue.Model,
    stage: Stage,
    selection: ModelSelection | None,
    workers: list[tuple[str, list[str], dict[str, list[str]]]],
) -> ModelOverview:
    if selection is None:
        return ModelOverview(model.name, model.task, is_selected=False, is_in_use=False, workers=[], obstacle="")
    serving = [(name, versions) for name, queues, versions in workers if stage.queue in queues]
    version = stage.version_with(selection.model, selection.weights_hash)
    able = [name for name, versions in serving if version in versions.get(stage.name, [])]
    missing = MODEL_NOT_INSTALLED if serving else NO_WORKER
    return ModelOverview(
        model.name,
        model.task,
        is_selected=True,
        is_in_use=selection.in_use,
        workers=able,
        obstacle="" if able else missing,
    )
