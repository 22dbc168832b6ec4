"""Which workers may open strangers' files: those alone whose processes can be limited and lost."""

from celery.concurrency import get_implementation
from celery.concurrency.prefork import TaskPool

DECODING_QUEUE = "ingest"
MODEL_QUEUES = frozenset({"faces", "embeddings"})


def require_limits(queues: frozenset[str], *, pool: type | str) -> None:
    """End the process where it would decode strangers' files without limits; `pool` is Celery's class or its name.

    Torch and CUDA reserve more address space than a decoder may have, so a process that loads models cannot be limited;
    nor can a thread, and a process without a parent has nobody to replace it.
    """
    if DECODING_QUEUE not in queues:
        return
    if queues & MODEL_QUEUES:
        raise SystemExit(
            f"One worker may not serve {DECODING_QUEUE} and models: it would decode files of strangers without limits. "
            f"Start `celery -A config worker -Q {DECODING_QUEUE}`, and another one for the rest: "
            f"`celery -A config worker -X {DECODING_QUEUE}`."
        )
    if not issubclass(get_implementation(pool), TaskPool):
        raise SystemExit(
            f"Only processes can be limited while they decode files of strangers: start the worker of {DECODING_QUEUE} "
            f"with `-P prefork`, as `celery -A config worker -Q {DECODING_QUEUE}` does."
        )
