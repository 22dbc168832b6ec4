"""The Celery app, and what a worker is given for the queues it serves.

celery -A config worker -Q ingest
celery -A config worker -Q faces,embeddings
celery -A config worker -Q people,maintenance
celery -A config beat
"""

import os
import secrets
from typing import Any

from celery import Celery, signals
from celery.worker import WorkController
from django.conf import settings
from kombu.utils.objects import cached_property

from processing import multiprocess, worker_signals  # noqa: F401 - the second connects itself
from processing.worker_limits import require_limits

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")


class DarkroomCelery(Celery):
    """Celery, with workers whose processes count into one place for their metrics."""

    @cached_property
    def Worker(self) -> type[WorkController]:  # noqa: N802 - the name that Celery asks for
        """Give the worker's class. A process asks for it when it is about to be a worker, before Django's apps."""
        multiprocess.begin(name="worker", identify=multiprocess.pool_slot)
        return super().Worker


app = DarkroomCelery("darkroom")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

MODEL_QUEUES = frozenset({"faces", "embeddings"})

# a spawned child imports Django and its models before it says that it lives; a forked one is there at once
SPAWNED_CHILD_ALIVE_SECONDS = 120


def served_queues(options: dict[str, Any]) -> frozenset[str]:
    """Give the queues that a worker with these command line options serves; all of them where it names none.

    Ends the process where it names one that there is not.
    """
    named = frozenset(options.get("queues") or settings.QUEUES)
    if unknown := named - frozenset(settings.QUEUES):
        raise SystemExit(f"There is no queue {', '.join(sorted(unknown))}: name some of {', '.join(settings.QUEUES)}")
    return named - frozenset(options.get("exclude_queues") or ())


def processes_for(queues: frozenset[str]) -> int:
    """Add up the processes that the settings give to the groups of queues served."""
    groups = (
        ({"ingest"}, settings.INGEST_WORKERS),
        (MODEL_QUEUES, settings.FACES_WORKERS),
        ({"people", "maintenance"}, settings.PEOPLE_WORKERS),
    )
    return sum(count for group, count in groups if queues & group) or 1


@signals.celeryd_init.connect
def fit_worker_to_queues(sender: str, instance: Any, conf: Any, options: dict[str, Any], **_: object) -> None:
    """Set the pool up for the queues served, before it is made; a given --concurrency or --hostname stays."""
    _require_services()
    queues = served_queues(options)
    require_limits(queues, pool=options.get("pool") or options.get("pool_cls") or conf.worker_pool)
    conf.worker_concurrency = processes_for(queues)
    name, _at, host = sender.partition("@")
    if name == "celery":
        # Celery's own name is the same for all workers of a host, which then take each other for themselves
        # and containers may share a host's name and have equal process ids: who has one's name takes one's leases
        instance.hostname = f"{'-'.join(sorted(queues))}.{os.getpid()}-{secrets.token_hex(2)}@{host}"
    if queues & MODEL_QUEUES:
        # CUDA cannot be used in a forked child, and a model loaded in the parent would serve nobody
        conf.worker_pool_start_method = "spawn"
        conf.worker_proc_alive_timeout = SPAWNED_CHILD_ALIVE_SECONDS


@signals.worker_before_create_process.connect
def skip_checks_in_children(**_: object) -> None:
    """Spare spawned children the system checks: the worker has passed them, and they import every view."""
    os.environ["CELERY_SKIP_CHECKS"] = "1"


@signals.beat_init.connect
def require_services_for_beat(**_: object) -> None:
    """Beat needs the broker."""
    _require_services()


def _require_services() -> None:
    """End the process with one line for each service that is missing, where it would otherwise try for ever."""
    if settings.MISSING_SERVICES:
        raise SystemExit("\n".join(settings.MISSING_SERVICES))
