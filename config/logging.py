"""How records are written: one line for people, or one JSON object for machines; never with a secret in it."""

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

from celery import current_task
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http.multipartparser import MultiPartParserError

FORMS = ("line", "json")
HIDDEN = "***"

# what the web server refuses by design: the way there through our code tells nothing
_REFUSALS = (PermissionDenied, SuspiciousOperation, BadRequest, MultiPartParserError)

_SECRETS = (
    # redis://user:password@host
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@/]+(?=@)", re.IGNORECASE), rf"\1{HIDDEN}"),
    # an API key, wherever it stands: its prefix tells which one it is
    (re.compile(r"(dk_[0-9a-f]{1,12}_)[0-9a-f]+", re.IGNORECASE), rf"\1{HIDDEN}"),
    # Authorization: Bearer ...
    (re.compile(r"(\b(?:bearer|basic|api-key)\s+)[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1{HIDDEN}"),
    # the address of a share: whoever has it may look
    (re.compile(r"(?<!\w)(/s/)[\w-]{20,}"), rf"\1{HIDDEN}"),
    # password=..., "secret_key": "...", ?X-Amz-Signature=...
    (
        re.compile(
            r"""((?:password|passwd|secret|token|ticket|api[_-]?key|secret_?key|access_?key|signing_?key|signature|credential)"""
            r"""["']?\s*[=:]\s*["']?)[^\s"'&,;)}\]]+""",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
)


def redact(text: str) -> str:
    """Hide what looks like a password, a token or a signature."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


class TaskFilter(logging.Filter):
    """Gives each record the Celery task that it was written in: `task_id` and `task_name`, empty outside of one."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        request = getattr(current_task, "request", None)
        record.task_id = getattr(request, "id", None) or ""
        record.task_name = current_task.name if record.task_id else ""
        return True


class RefusalFilter(logging.Filter):
    """Says of a request that was refused what it was and whose, in one line in place of a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        error = record.exc_info[1] if record.exc_info else None
        request = getattr(record, "request", None)
        if request is None or not isinstance(error, _REFUSALS):
            return True
        # only who has been looked up already: a line of the log asks the database for nothing
        user = getattr(request, "_cached_user", None)
        said = f"{type(error).__name__} {error}".strip()
        record.msg = "%s %s was refused to user %s: %s"
        whole = (request.method, request.path, getattr(user, "pk", None) or "-", said)
        # no line of somebody else's making
        record.args = tuple(str(one).encode("unicode_escape").decode() for one in whole)
        record.exc_info = record.exc_text = None
        return True


class LineFormatter(logging.Formatter):
    """Time, level, logger, task if there is one, message; a traceback follows on lines of its own."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname} {name}{task}: {message}", style="{")

    def format(self, record: logging.LogRecord) -> str:
        """Write the record."""
        record.task = f" [{record.task_name} {record.task_id}]" if record.task_id else ""
        return redact(super().format(record))


class JsonFormatter(logging.Formatter):
    """An object of one line: time (RFC 3339, UTC), level, logger, message, process, task, exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the record."""
        said: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(record.getMessage()),
            "process": record.process,
        }
        if record.task_id:
            said |= {"task_id": record.task_id, "task_name": record.task_name}
        if record.exc_info:
            said["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(said, ensure_ascii=False)


def logging_config(*, level: str, form: str) -> dict[str, Any]:
    """Give the configuration for `logging.config.dictConfig`. Raises ValueError for an unknown form."""
    if form not in FORMS:
        raise ValueError(f"LOG_FORMAT is {form!r}: it is one of {', '.join(FORMS)}")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"task": {"()": TaskFilter}, "refusal": {"()": RefusalFilter}},
        "formatters": {"line": {"()": LineFormatter}, "json": {"()": JsonFormatter}},
        # to standard error; whoever runs a process decides where it goes
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": form, "filters": ["task", "refusal"]}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            # their own handlers would write everything twice
            name: {"handlers": [], "propagate": True}
            for name in ("django", "django.server", "gunicorn.error", "gunicorn.access")
        }
        # it tells of every step of counting, four lines for a wrong password
        | {"axes": {"level": "WARNING"}},
    }
