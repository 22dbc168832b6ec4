"""The checks that there are, by the component that they look at."""

from collections.abc import Iterable
from functools import cache

from config.health.database import check_database, check_reachable
from config.health.findings import Finding
from config.health.pipeline import check_models, check_pipeline, check_workers
from config.health.process import check_process
from config.health.shared_check import SharedCheck
from config.health.stores import check_redis, check_storage

# longer than the time limits inside the checks, so that those speak first
CHECK_SECONDS = 4.0

HEALTH = {
    "database": check_database,
    "redis": check_redis,
    "storage": check_storage,
    "workers": check_workers,
    "pipeline": check_pipeline,
    "models": check_models,
    "process": check_process,
}
# without Redis uploads go on: a load balancer that asks here must not turn them away
READY = {"database": check_reachable, "storage": check_storage}


@cache
def shared_checks() -> dict[str, dict[str, SharedCheck]]:
    """Give the checks of this process: {which set: {component: its check}}."""
    return {
        kind: {name: SharedCheck(run, name=name, seconds=CHECK_SECONDS) for name, run in checks.items()}
        for kind, checks in (("health", HEALTH), ("ready", READY))
    }


def findings(kind: str, components: Iterable[str] | None = None) -> dict[str, Finding]:
    """Run the checks of a set side by side, all or some; takes no longer than the slowest."""
    checks = shared_checks()[kind]
    started = {name: checks[name].start() for name in (checks if components is None else components)}
    return {name: wait() for name, wait in started.items()}
