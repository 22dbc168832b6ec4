"""The web process that answers: memory, CPU, open files."""

import resource

import psutil

from config.health.findings import Finding

MANY_FILES = 0.9

# kept, since its CPU share is that since it was last asked
_this = psutil.Process()


def check_process() -> Finding:
    """Give what this process takes, and what its host has left."""
    finding = Finding()
    with _this.oneshot():
        open_files, (limit, _) = _this.num_fds(), resource.getrlimit(resource.RLIMIT_NOFILE)
        finding.detail = {
            "pid": _this.pid,
            "memory_bytes": _this.memory_info().rss,
            "cpu_percent": _this.cpu_percent(),
            "threads": _this.num_threads(),
            "open_files": {"in_use": open_files, "max": limit},
        }
    memory = psutil.virtual_memory()
    finding.detail["host"] = {
        "memory_available_bytes": memory.available,
        "memory_total_bytes": memory.total,
        "load": [round(one, 2) for one in psutil.getloadavg()],
        "cpus": psutil.cpu_count(),
    }
    if open_files > MANY_FILES * limit:
        finding.degrade(f"{open_files} of {limit} files are open")
    return finding
