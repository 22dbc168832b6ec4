"""The ledger's rows, what controls it, the models in use, the workers that are there, and uploads under way."""

from processing.models.control import Canary, StagePause, Sweep
from processing.models.ledger import LibraryRun, RunState, StageRun
from processing.models.selection import ModelSelection
from processing.models.upload import Upload, UploadState, UploadWay
from processing.models.worker import WorkerPresence

__all__ = [
    "Canary",
    "LibraryRun",
    "ModelSelection",
    "RunState",
    "StagePause",
    "StageRun",
    "Sweep",
    "Upload",
    "UploadState",
    "UploadWay",
    "WorkerPresence",
]
