"""What a stage is: which input, which engine, which rows it replaces."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings

from processing.engines import installation
from processing.ledger import Lease
from processing.models import ModelSelection

# why a run is skipped, beside what stages themselves say
FACE_ANALYSIS_OFF = "face_analysis_off"
SUPERSEDED = "superseded"


class InputMissingError(Exception):
    """What the stage reads is not there, although the run says that it should be."""

    code = "input_missing"


@dataclass(frozen=True, slots=True)
class Written:
    """What committing a result means for others.

    `skip_children` is a reason for which the stages that read this one have nothing to do, or none. `orphans` are keys
    of renditions that no row names any more, to be deleted after the commit. `warnings` are kept on the run: what was
    wrong with the file and did not keep the stage from its result, as {code, field, detail}.
    """

    skip_children: str = ""
    orphans: Sequence[str] = ()
    warnings: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Loaded:
    """The input of one run: `data` is what the stage's own `compute` takes."""

    photo_id: UUID
    library_id: UUID
    data: Any


class Stage(ABC):
    """One kind of work on a photo.

    A run goes through `load`, `compute` and `store` outside of any transaction; `write` replaces the stage's rows in
    the short, fenced transaction that marks the run done. Each may be repeated.
    """

    name: ClassVar[str]
    queue: ClassVar[str]
    # counted up by hand when the same input gives another output
    code_version: ClassVar[str] = "1"
    # the stage whose result this one reads; none reads the original
    needs: ClassVar[str | None] = None
    # the task that a model is selected for; none needs no model
    model_task: ClassVar[str | None] = None
    is_face_work: ClassVar[bool] = False
    # whether `store` puts objects, which nobody names if the run is lost
    stores_objects: ClassVar[bool] = False

    @property
    def claim_size(self) -> int:
        """How many runs are claimed at a time. One, where originals are opened."""
        return 1

    def shaping_settings(self) -> Mapping[str, object]:
        """Settings that change the output; another value is another version."""
        return {}

    @cached_property
    def base_version(self) -> str:
        """The version without a model."""
        shape = json.dumps(self.shaping_settings(), sort_keys=True, default=str)
        return f"{self.code_version}.{hashlib.sha256(shape.encode()).hexdigest()[:8]}"

    def version_with(self, model: str, weights_hash: str) -> str:
        """Give the version of this stage with one model."""
        return f"{self.base_version}.{model}.{weights_hash[:8]}"

    def planned_versions(self) -> list[str]:
        """Versions that every photo should have a run of: one for each selected model."""
        if self.model_task is None:
            return [self.base_version]
        rows = ModelSelection.objects.filter(task=self.model_task).order_by("-in_use", "model")
        return [self.version_with(row.model, row.weights_hash) for row in rows]

    def known_versions(self) -> list[str]:
        """Versions that this host can run: of the models that are installed here."""
        if self.model_task is None:
            return [self.base_version]
        found = installation.installed_models(task=self.model_task, models_dir=settings.MODELS_DIR)
        return [self.version_with(model.name, model.weights_hash) for model in found]

    @abstractmethod
    def load(self, lease: Lease) -> Loaded:
        """Read the input of a run. Raises InputMissingError, or the storage's own errors."""

    @abstractmethod
    def compute(self, loaded: Sequence[Loaded], *, version: str) -> list[Any]:
        """Do the work for a batch of one version, a result each. Raises EngineError for what is wrong with a file."""

    def store(self, loaded: Loaded, result: Any, *, version: str) -> Any:  # noqa: ARG002 - most stages store nothing
        """Put the objects of a result, before the transaction; gives what `write` needs."""
        return result

    @abstractmethod
    def write(self, loaded: Loaded, stored: Any, *, version: str) -> Written:
        """Replace the stage's rows for the photo, inside the fenced transaction."""


def model_of(version: str) -> str:
    """Give the model's name in a version made by `Stage.version_with`; nothing in that of a stage without a model."""
    return "".join(version.split(".")[2:3])
