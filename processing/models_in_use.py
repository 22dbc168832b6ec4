"""The model that an installation uses for a task, as it was selected."""

from dataclasses import dataclass

from accounts.problems import ConflictError
from processing.engines import catalogue
from processing.engines.errors import ModelNotInstalledError
from processing.models import ModelSelection


class ModelNotInUseError(ConflictError):
    """What was asked for takes a model, and none that this release knows is in use for the task."""

    code = ModelNotInstalledError.code

    def __init__(self, task: str) -> None:
        super().__init__(
            f"No model is in use for {task}: whoever runs the installation installs one and says "
            "`manage.py models use NAME`."
        )


@dataclass(frozen=True, slots=True)
class ModelInUse:
    """A model of the catalogue, and the hash of the weights that were selected."""

    model: catalogue.Model
    weights_hash: str

    @property
    def name(self) -> str:
        """Its name."""
        return self.model.name


def model_in_use(task: str) -> ModelInUse | None:
    """Give the model in use for a task; none if there is none, or only a newer release knows it."""
    row = ModelSelection.objects.filter(task=task, in_use=True).first()
    if row is None or row.model not in catalogue.MODELS:
        return None
    return ModelInUse(catalogue.get(row.model), row.weights_hash)


def require_model(task: str) -> ModelInUse:
    """Give the model in use for a task. Raises ModelNotInUseError."""
    found = model_in_use(task)
    if found is None:
        raise ModelNotInUseError(task)
    return found
