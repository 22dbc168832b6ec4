"""What Prometheus is told of the pipeline. Each process counts its own; a worker's parent adds its children up."""

from collections.abc import Iterable

from prometheus_client import Counter, Histogram

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

RUNS = Counter("darkroom_runs", "Runs that ended an attempt, by how.", ["stage", "outcome"])
STAGE_SECONDS = Histogram("darkroom_stage_seconds", "Seconds of work for one run.", ["stage"], buckets=SECONDS)
HINTS = Counter("darkroom_hints", "Messages to workers, by what became of them.", ["task", "outcome"])
UPLOAD_SECONDS = Histogram(
    "darkroom_upload_seconds",
    "Seconds from a file's last byte to its committed row.",
    ["outcome"],
    buckets=SECONDS,
)
# of runs that were withdrawn on purpose the results are not counted here, but in darkroom_runs as `withdrawn`
FENCED = Counter("darkroom_fenced_commits", "Results that came too late and were not written.", ["stage"])
LOST_RUNS = Counter("darkroom_lost_runs", "Runs whose holder died, hung or went silent.", ["stage", "code"])
EXPIRED_LEASES = Counter("darkroom_expired_leases", "Runs whose lease ran out: nobody saw their holder go.")
DEAD_RUNS = Counter("darkroom_dead_runs", "Runs that have become dead letters.", ["stage", "code"])
SWEPT_OBJECTS = Counter("darkroom_swept_objects", "Stored objects that no row named and that were deleted.", ["reason"])


def begin_at_zero(works: Iterable[str]) -> None:
    """Give what alerts watch a first sample for each kind of work, or the first that is counted were no increase."""
    for work in works:
        FENCED.labels(work)
