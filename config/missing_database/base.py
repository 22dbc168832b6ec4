from typing import NoReturn

from django.conf import settings
from django.db.backends.postgresql import base
from django.db.utils import OperationalError


class MissingDatabaseError(OperationalError):
    """There is no database to connect to; the text says how to get one."""


class DatabaseWrapper(base.DatabaseWrapper):
    """PostgreSQL for whoever asks what it can do, and one clear sentence for whoever connects."""

    def connect(self) -> NoReturn:
        raise MissingDatabaseError(settings.MISSING_SERVICES[0])
