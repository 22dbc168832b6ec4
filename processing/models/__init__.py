"""The ledger's rows, what controls it, imports, the models in use, and the workers that are there."""

from processing.models.control import Canary, StagePause, Sweep
from processing.models.imports import FileState, Import, ImportedFile, ImportMode, ImportPhase, ImportState
from processing.models.ledger import LibraryRun, RunState, StageRun
from processing.models.question import Question
from processing.models.selection import ModelSelection
from processing.models.worker import WorkerPresence

__all__ = [
    "Canary",
    "FileState",
    "Import",
    "ImportMode",
    "ImportPhase",
    "ImportState",
    "ImportedFile",
    "LibraryRun",
    "ModelSelection",
    "Question",
    "RunState",
    "StagePause",
    "StageRun",
    "Sweep",
    "WorkerPresence",
]
