"""Metrics of several processes as one: each writes its numbers to a file, and whoever is asked adds them up.

prometheus_client decides how it counts when it is imported. So a process that will have children calls `begin` before
it imports Django's apps; everything else works the same with and without it.
"""

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from celery.utils.log import current_process_index

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_folder: Path | None = None


def begin(*, name: str, identify: Callable[[], object] = os.getpid) -> None:
    """Make this process and its children count into one fresh folder, which goes when this process ends.

    `identify` names the file of the process that calls it: two that live at once must differ. Raises RuntimeError if
    it is too late. A second call in the same process, or in a forked child, does nothing.
    """
    global _folder  # noqa: PLW0603 - one per process, as prometheus_client has it
    if _folder is not None:
        return
    if "prometheus_client" in sys.modules:
        raise RuntimeError("prometheus_client was imported already: it counts for this process alone")
    _remove_abandoned(f"darkroom-{name}-metrics-")
    _folder = Path(tempfile.mkdtemp(prefix=f"darkroom-{name}-metrics-{os.getpid()}-"))
    atexit.register(_remove, _folder, os.getpid())
    # prometheus_client's own way in; children that are spawned find it in their environment
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_folder)
    from prometheus_client import values

    values.ValueClass = values.MultiProcessValue(process_identifier=identify)


def pool_slot() -> str:
    """Name a Celery pool's process by its place in the pool.

    A child that takes a dead one's place goes on with its file, so that photos which kill their process one after
    another leave no growing heap of files behind. Spawned children do not come here: they count by process id.
    """
    index = current_process_index()
    return "parent" if index is None else f"slot{index}"


def registry() -> "CollectorRegistry":
    """Give what this process has counted and, after `begin`, its children too."""
    from prometheus_client import REGISTRY, CollectorRegistry
    from prometheus_client.multiprocess import MultiProcessCollector

    if _folder is None:
        return REGISTRY
    added_up = CollectorRegistry()
    MultiProcessCollector(added_up, path=str(_folder))
    return added_up


def _remove(folder: Path, owner: int) -> None:
    """Delete the folder, at the end of the process that made it and not of a forked child."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(prefix: str) -> None:
    """Delete the folders of processes that were killed and could not do it themselves."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        owner = folder.name.removeprefix(prefix).partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
