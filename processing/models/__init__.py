"""The ledger's rows, the models in use, and the workers that are there."""

from processing.models.ledger import LibraryRun, RunState, StageRun
from processing.models.selection import ModelSelection
from processing.models.worker import WorkerPresence

__all__ = ["LibraryRun", "ModelSelection", "RunState", "StageRun", "WorkerPresence"]
