"""Whose fault an error is: the file's for good, this attempt's, or the infrastructure's."""

import errno
import traceback
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import InterfaceError, OperationalError, backends
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError

from photos import integrity, storage
from photos.integrity import WrongBytesError
from photos.storage import is_store_gone
from processing.engines.errors import (
    DeviceUnavailableError,
    EngineError,
    ModelNotInstalledError,
    OutOfMemoryError,
    WeightsMismatchError,
)
from processing.ledger import RunError
from processing.stages.base import InputMissingError

_STORE, _READING = Path(storage.__file__).parent, Path(integrity.__file__)
_DATABASE = Path(backends.__file__).parent
DATABASE_UNAVAILABLE = "database_unavailable"

OUR_PACKAGES = frozenset({"accounts", "config", "gallery", "photos", "processing"})


class Fault(Enum):
    """What follows from an error."""

    PERMANENT = "permanent"  # trying again gives the same answer: dead at once
    ATTEMPT = "attempt"  # tried again after a backoff, dead after as many as allowed
    INFRASTRUCTURE = "infrastructure"  # pending again, and the attempt does not count


@dataclass(frozen=True, slots=True)
class Failure:
    """Whose fault an error is, and under which stable code it is kept; `detail` is for a person."""

    fault: Fault
    code: str
    detail: str


def describe(error: BaseException) -> RunError:
    """Give what the ledger keeps of an error: code and detail, its type, where in our code, the whole story."""
    failure = classify(error)
    return RunError(
        code=failure.code,
        detail=failure.detail,
        exception=type(error).__qualname__,
        frame=_innermost_frame_of_ours(error),
        traceback="".join(traceback.format_exception(error)),
    )


def _innermost_frame_of_ours(error: BaseException) -> str:
    """Name the function of ours that the error came through last: without a line number, which every edit moves."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(settings.BASE_DIR):
            inside = path.relative_to(settings.BASE_DIR)
            if inside.parts[0] in OUR_PACKAGES:
                return f"{inside}:{frame.name}"
    return ""


# disk full, quota, I/O, stale NFS handles, sockets, too many open files: the host's trouble, not the photo's
_HOST_ERRNOS = frozenset(
    {
        errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENOMEM,
        errno.EACCES, errno.EPERM, errno.EBUSY, errno.EAGAIN, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EPIPE,
    }
)  # fmt: skip


def classify(error: BaseException) -> Failure:
    """Say whose fault an error is, and under which stable code it is kept."""
    detail = f"{type(error).__name__}: {error}"
    if isinstance(error, ModelNotInstalledError | WeightsMismatchError | DeviceUnavailableError):
        # the host's fault: another one may have the model, or the device
        return Failure(Fault.INFRASTRUCTURE, error.code, detail)
    if isinstance(error, MemoryError):
        # outside of a decoder too: the process that decodes may have only so much
        return Failure(Fault.ATTEMPT, OutOfMemoryError.code, detail)
    if isinstance(error, EngineError):
        return Failure(Fault.PERMANENT if error.permanent else Fault.ATTEMPT, error.code, str(error) or detail)
    if isinstance(error, InputMissingError):
        return Failure(Fault.ATTEMPT, error.code, str(error))
    if isinstance(error, WrongBytesError):
        # what came wrong on its way comes right another time; what lies wrong is for a person, after as many attempts
        fault = Fault.ATTEMPT if error.at_rest else Fault.INFRASTRUCTURE
        return Failure(fault, error.code, str(error))
    if isinstance(error, SoftTimeLimitExceeded):
        return _failure_of_time(error)
    if isinstance(error, FileNotFoundError) and error.filename and is_store_gone(error.filename):
        return Failure(Fault.INFRASTRUCTURE, "storage_unavailable", detail)
    if isinstance(error, FileNotFoundError) or _is_missing_object(error):
        return Failure(Fault.ATTEMPT, "object_missing", detail)
    if isinstance(error, OperationalError | InterfaceError):
        return Failure(Fault.INFRASTRUCTURE, DATABASE_UNAVAILABLE, detail)
    if isinstance(error, BrokerError | RedisError):
        return Failure(Fault.INFRASTRUCTURE, "broker_unavailable", detail)
    if isinstance(error, BotoCoreError | ClientError | ConnectionError | TimeoutError) or _is_host_trouble(error):
        return Failure(Fault.INFRASTRUCTURE, "storage_unavailable", detail)
    return Failure(Fault.ATTEMPT, "unexpected_error", detail)


def _failure_of_time(error: SoftTimeLimitExceeded) -> Failure:
    """Say whose fault it is that a task's time is over: the store's or the database's, where that was waited for."""
    files = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
    if any(path.is_relative_to(_STORE) or path == _READING for path in files):
        return Failure(Fault.INFRASTRUCTURE, "storage_unavailable", "The time was over while the store was asked.")
    # struck while somebody waited to try again, or while the database was asked
    is_database = isinstance(error.__context__, OperationalError | InterfaceError)
    if is_database or any(path.is_relative_to(_DATABASE) for path in files):
        return Failure(Fault.INFRASTRUCTURE, DATABASE_UNAVAILABLE, "The time was over while the database was asked.")
    return Failure(Fault.ATTEMPT, "timed_out", "The work took longer than the task may.")


def _is_missing_object(error: BaseException) -> bool:
    if not isinstance(error, ClientError) or error.operation_name not in {"GetObject", "HeadObject"}:
        return False
    return error.response.get("Error", {}).get("Code") in {"404", "NoSuchKey"}


def _is_host_trouble(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in _HOST_ERRNOS
