"""What Prometheus is told of the stores. Each process counts its own."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

STORAGE_SECONDS = Histogram(
    "darkroom_storage_seconds",
    "Seconds of one operation on a store, by how it ended: ok, missing, error.",
    ["alias", "operation", "outcome"],
    buckets=SECONDS,
)
STORAGE_BYTES = Counter("darkroom_storage_bytes", "Bytes moved to and from a store.", ["alias", "operation"])


@contextmanager
def storage_operation(*, alias: str, operation: str) -> Iterator[None]:
    """Count and time one operation on a store; an object that is not there is `missing`, not an error."""
    started = time.perf_counter()
    outcome = "error"
    try:
        yield
        outcome = "ok"
    except FileNotFoundError:
        outcome = "missing"
        raise
    finally:
        STORAGE_SECONDS.labels(alias, operation, outcome).observe(time.perf_counter() - started)
