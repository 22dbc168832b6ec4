"""Celery. The ledger in PostgreSQL is the truth and a message only a hint: none has to be kept alive here."""

from celery.schedules import crontab
from kombu import Queue

from config.settings.darkroom import (
    AUDIT_SEAL_SECONDS,
    LEDGER_SWEEP_SECONDS,
    LEDGER_TEND_SECONDS,
    LIBRARY_TASK_TIME_LIMIT,
    MAINTENANCE_TASK_TIME_LIMIT,
    STAGE_TASK_TIME_LIMIT,
)

# ingest: pixels on the CPU; faces, embeddings: models; people, maintenance: light
# one worker serves each of these groups of queues: they share what their processes need
WORKER_GROUPS = {
    "ingest": ("ingest",),
    "faces": ("faces", "embeddings"),
    "people": ("people", "maintenance"),
}
QUEUES = tuple(queue for queues in WORKER_GROUPS.values() for queue in queues)

CELERY_TASK_QUEUES = [Queue(name, routing_key=name) for name in QUEUES]
CELERY_TASK_DEFAULT_QUEUE = "maintenance"
# each task's queue is named where the task is defined
CELERY_TASK_ROUTES = ("processing.task_policy.route",)
# a mistyped -Q is an error, not a worker that waits on a queue of its own invention for ever
CELERY_TASK_CREATE_MISSING_QUEUES = False

# tasks:

CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
# status is asked of the ledger; a result backend would be one more thing that can fail while publishing
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_BACKEND = None
CELERY_TASK_ACKS_LATE = True
# True would redeliver a task that kills its child for ever; the ledger counts the attempts
CELERY_TASK_REJECT_ON_WORKER_LOST = False
# for tasks that set none of their own
CELERY_TASK_TIME_LIMIT = MAINTENANCE_TASK_TIME_LIMIT
CELERY_TASK_SOFT_TIME_LIMIT = 0.9 * MAINTENANCE_TASK_TIME_LIMIT

# workers:

CELERY_WORKER_POOL = "processing.prefork:TaskPool"
# one message in hand and none hoarded: the others stay in sight of idle workers
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# LOGGING below is the one place that says what is logged
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_WORKER_SEND_TASK_EVENTS = False
# a lease fences off whatever a second worker does meanwhile, so work in hand may finish
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
# after SIGQUIT (REMAP_SIGTERM=SIGQUIT in containers) tasks in hand get this long before they are given back
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 20

# the broker:

CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# None: for ever. A worker that gave up after an hour without Redis would have to be started by hand
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # an unacknowledged message comes back after this: longer than the longest hard limit, or it would run twice
    "visibility_timeout": 2 * max(STAGE_TASK_TIME_LIMIT, MAINTENANCE_TASK_TIME_LIMIT, LIBRARY_TASK_TIME_LIMIT),
    # look for such messages every 5 s, not every 100 s
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    # longer than the transport's blocking read of 1 s, shorter than a person's patience with a dead Redis
    "socket_timeout": 10,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    # a half-open connection is noticed after about two of these, or the worker would be alive and deaf
    "health_check_interval": 10,
}

# beat:

# in memory: short intervals and hours of the clock have nothing to remember
CELERY_BEAT_SCHEDULER = "celery.beat:Scheduler"
_MAINTENANCE = {"queue": "maintenance"}
# none `expires`: that is written by beat's clock and read by the worker's. Those that pile up find that one of them was
# enough, in `processing.sweeps`
CELERY_BEAT_SCHEDULE = {
    "reconcile": {"task": "reconcile", "schedule": LEDGER_SWEEP_SECONDS, "options": _MAINTENANCE},
    "tend": {"task": "tend", "schedule": LEDGER_TEND_SECONDS, "options": _MAINTENANCE},
    "sweep_uploads": {"task": "sweep_uploads", "schedule": LEDGER_SWEEP_SECONDS, "options": _MAINTENANCE},
    "seal_audit": {"task": "seal_audit", "schedule": AUDIT_SEAL_SECONDS, "options": _MAINTENANCE},
    "empty_trash": {"task": "empty_trash", "schedule": crontab(minute="17"), "options": _MAINTENANCE},
    "sweep_exports": {"task": "sweep_exports", "schedule": crontab(minute="27"), "options": _MAINTENANCE},
    "flush_logins": {"task": "flush_logins", "schedule": crontab(minute="37"), "options": _MAINTENANCE},
    "sweep_incoming": {"task": "sweep_incoming", "schedule": crontab(minute="47"), "options": _MAINTENANCE},
}
