"""The ledger's rows, what controls it, the models in use, and the workers that are there."""

from processing.models.control import Canary, StagePause, Sweep
from processing.models.ledger import LibraryRun, RunState, StageRun
from processing.models.question import Question
from processing.models.selection import ModelSelection
from processing.models.worker import WorkerPresence

__all__ = [
    "Canary",
    "LibraryRun",
    "ModelSelection",
    "Question",
    "RunState",
    "StagePause",
    "StageRun",
    "Sweep",
    "WorkerPresence",
]
