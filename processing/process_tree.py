"""What processes take from their host: memory, CPU time, open files."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class ProcessTree:
    """A process and all below it, added up. Pages that a forked child shares with its parent count twice."""

    processes: int
    memory_bytes: int
    cpu_seconds: float
    open_files: int


def measure() -> ProcessTree:
    """Measure this process and its children; one that ends meanwhile is left out."""
    this = psutil.Process()
    measured = list(_measured([this, *this.children(recursive=True)]))
    return ProcessTree(
        processes=len(measured),
        memory_bytes=sum(memory for memory, _, _ in measured),
        cpu_seconds=sum(cpu for _, cpu, _ in measured),
        open_files=sum(files for _, _, files in measured),
    )


def _measured(processes: list[psutil.Process]) -> Iterator[tuple[int, float, int]]:
    for process in processes:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied), process.oneshot():
            # what its children took is added to a process when it reaps them, so the sum never falls
            cpu_seconds = sum(process.cpu_times()[:4])
            yield process.memory_info().rss, cpu_seconds, process.num_fds()
