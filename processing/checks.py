"""System checks of what processing needs: settings that make sense, the broker, the files of the selected models."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name
from django.db import DatabaseError

from processing.engines import installation
from processing.models import ModelSelection
from processing.publish import hurried_connection
from processing.task_policy import SOFT_SHARE

PREVIEW = "preview"
DEVICES = ("auto", "cuda", "cpu")
POSITIVE = (
    "INGEST_WORKERS",
    "FACES_WORKERS",
    "PEOPLE_WORKERS",
    "UPLOAD_MAX_BYTES",
    "UPLOAD_EXPIRES_SECONDS",
    "UPLOAD_MAX_OPEN",
    "UPLOAD_DIRECT_SECONDS",
    "EXPORT_LIFETIME_DAYS",
    "EXPORT_MAX_OPEN",
    "EXPORT_FILE_BYTES",
    "EXPORT_STREAM_PHOTOS",
    "EXPORT_STREAM_BYTES",
    "IMAGE_MAX_PIXELS",
    "DECODE_MEMORY_BYTES",
    "DECODE_CPU_SECONDS",
    "DECODE_WALL_SECONDS",
    "DECODE_FILE_BYTES",
    "FACE_CHIP_MAX_SIDE",
    "SEARCH_TEXT_SECONDS",
    "SEARCH_FACE_SECONDS",
    "SEARCH_FACE_MAX_BYTES",
    "SEARCHES_AT_ONCE",
    "LEDGER_LEASE_SECONDS",
    "LEDGER_MAX_ATTEMPTS",
    "LEDGER_SWEEP_SECONDS",
    "LEDGER_TASK_RUNS",
    "LEDGER_TASK_SECONDS",
    "LEDGER_RING_MESSAGES",
    "LEDGER_HAND_BACKS",
    "LEDGER_HAND_BACK_MAX_WAIT_SECONDS",
    "CIRCUIT_RUNS",
    "CIRCUIT_WINDOW_SECONDS",
    "CIRCUIT_FIRST_WAIT_SECONDS",
    "CIRCUIT_MAX_WAIT_SECONDS",
    "CANARY_SECONDS",
    "FACES_BATCH_SIZE",
    "EMBEDDINGS_BATCH_SIZE",
    "STAGE_TASK_TIME_LIMIT",
    "MAINTENANCE_TASK_TIME_LIMIT",
    "LIBRARY_TASK_TIME_LIMIT",
)


@register()
def check_settings(**_: Any) -> list[CheckMessage]:
    """See that the numbers can be worked with."""
    return [*_errors_of_numbers(), *_errors_of_renditions(), *_errors_of_faces(), *_errors_of_limits()]


@register(Tags.database)
def check_broker(databases: list[str] | None, **_: Any) -> list[CheckMessage]:
    """See that Redis answers. Asked together with the database, so that a plain `check` needs no service."""
    if not databases:
        return []
    try:
        with hurried_connection(1) as connection:
            connection.ensure_connection(max_retries=1, timeout=1)
    except Exception as error:  # noqa: BLE001 - each transport has errors of its own
        return [
            Warning(
                f"The broker does not answer: {error}",
                hint="Start Redis, or correct REDIS_URL. Uploads are taken in meanwhile; their work waits.",
                id="processing.W001",
            )
        ]
    return []


@register(Tags.database)
def check_models(databases: list[str] | None, **_: Any) -> list[CheckMessage]:
    """See that this host has the files of the models that are selected."""
    if not databases:
        return []
    try:
        selected = list(ModelSelection.objects.using(databases[0]).order_by("task", "model"))
    except DatabaseError:
        return []  # before the first migration; and photos.E002 tells of a database that does not answer
    return [warning for selection in selected if (warning := _warning_of(selection))]


def _warning_of(selection: ModelSelection) -> Warning | None:
    here = installation.installed_models(task=selection.task, models_dir=settings.MODELS_DIR)
    hashes = {model.name: model.weights_hash for model in here}
    if hashes.get(selection.model) == selection.weights_hash:
        return None
    what = "other weights than were selected" if selection.model in hashes else "no weights"
    return Warning(
        f"The model {selection.model!r} is selected for {selection.task}, and this host has {what} of it.",
        hint=f"`manage.py models install {selection.model}` on every host whose workers serve it.",
        id="processing.W002",
    )


def _errors_of_numbers() -> list[CheckMessage]:
    return [
        Error(f"{name} is {getattr(settings, name)!r}.", hint="It must be above 0.", id="processing.E001")
        for name in POSITIVE
        if getattr(settings, name) <= 0
    ]


def _errors_of_renditions() -> list[CheckMessage]:
    errors: list[CheckMessage] = []
    sizes = settings.RENDITION_SIZES
    if PREVIEW not in sizes:
        errors.append(
            Error(
                f"RENDITION_SIZES has no {PREVIEW!r}.",
                hint="Faces are looked for on it: add `preview=1440`.",
                id="processing.E002",
            )
        )
    if bad := {kind: size for kind, size in sizes.items() if size <= 0}:
        errors.append(Error(f"RENDITION_SIZES has {bad}.", hint="Sizes are pixels, above 0.", id="processing.E003"))
    for name in ("RENDITION_QUALITY", "FACE_CHIP_QUALITY"):
        if not 1 <= getattr(settings, name) <= 95:
            errors.append(
                Error(
                    f"{name} is {getattr(settings, name)}.",
                    hint="A JPEG's quality is between 1 and 95.",
                    id="processing.E004",
                )
            )
    return errors


def _errors_of_faces() -> list[CheckMessage]:
    errors: list[CheckMessage] = []
    candidate, kept = settings.FACE_CANDIDATE_CONFIDENCE, settings.FACE_MIN_CONFIDENCE
    if not 0 <= candidate <= kept <= 1:
        errors.append(
            Error(
                f"FACE_CANDIDATE_CONFIDENCE is {candidate} and FACE_MIN_CONFIDENCE {kept}.",
                hint="Both are between 0 and 1, and the floor of candidates is not above that of kept faces.",
                id="processing.E005",
            )
        )
    if not 0 <= settings.FACE_MIN_QUALITY <= 1:
        errors.append(
            Error(f"FACE_MIN_QUALITY is {settings.FACE_MIN_QUALITY}.", hint="Between 0 and 1.", id="processing.E010")
        )
    if settings.DEVICE not in DEVICES:
        errors.append(
            Error(f"DEVICE is {settings.DEVICE!r}.", hint=f"It is one of {', '.join(DEVICES)}.", id="processing.E006")
        )
    if settings.FACE_CHIP_MARGIN < 0:
        errors.append(
            Error(f"FACE_CHIP_MARGIN is {settings.FACE_CHIP_MARGIN}.", hint="At least 0.", id="processing.E007")
        )
    threshold = settings.FACE_CLUSTER_THRESHOLD
    if threshold is not None and threshold <= 0:
        errors.append(
            Error(
                f"FACE_CLUSTER_THRESHOLD is {threshold}.",
                hint="A distance above 0 in the metric of the model in use, or unset for the model's own.",
                id="processing.E008",
            )
        )
    return errors


def _errors_of_limits() -> list[CheckMessage]:
    errors: list[CheckMessage] = []
    limit, lease = settings.STAGE_TASK_TIME_LIMIT, settings.LEDGER_LEASE_SECONDS
    if limit >= lease:
        errors.append(
            Error(
                f"STAGE_TASK_TIME_LIMIT is {limit} s and LEDGER_LEASE_SECONDS {lease} s.",
                hint="The limit must be shorter: a process that outlives its lease works in vain.",
                id="processing.E009",
            )
        )
    if settings.DECODE_FILE_BYTES < settings.UPLOAD_MAX_BYTES:
        errors.append(
            Error(
                f"DECODE_FILE_BYTES is {settings.DECODE_FILE_BYTES} and UPLOAD_MAX_BYTES {settings.UPLOAD_MAX_BYTES}.",
                hint="A process that decodes writes an original that it fetched to disk: allow it the largest one.",
                id="processing.E011",
            )
        )
    if settings.UPLOAD_DIRECT_SECONDS > settings.UPLOAD_EXPIRES_SECONDS:
        errors.append(
            Error(
                f"UPLOAD_DIRECT_SECONDS is {settings.UPLOAD_DIRECT_SECONDS} and UPLOAD_EXPIRES_SECONDS "
                f"{settings.UPLOAD_EXPIRES_SECONDS}.",
                hint="An address is good for no longer than the upload lives: what came later would be nobody's.",
                id="processing.E013",
            )
        )
    if SOFT_SHARE * limit < settings.DECODE_WALL_SECONDS:
        errors.append(
            Error(
                f"DECODE_WALL_SECONDS is {settings.DECODE_WALL_SECONDS:g} s and STAGE_TASK_TIME_LIMIT {limit} s.",
                hint=f"A file's time must fit into {SOFT_SHARE:g} of its task's, or honest files are stopped for it.",
                id="processing.E012",
            )
        )
    return errors
