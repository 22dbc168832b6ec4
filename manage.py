#!/usr/bin/env python
"""Darkroom's commands: `manage.py help` lists them."""

import os
import sys
from contextlib import AbstractContextManager, nullcontext


def main() -> None:
    """Run a command; settings that are not there, or a missing database, are one line, not a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db.utils import OperationalError

    from accounts.origin import commanded_by

    try:
        with _services(), commanded_by("".join(sys.argv[1:2])):
            execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(str(error))
    except OperationalError as error:
        from django.conf import settings

        if not settings.MISSING_SERVICES:
            raise
        sys.exit(str(error))


def _services() -> AbstractContextManager[None]:
    """Run the embedded services around `run`, since the settings of every command ask for those that run already."""
    if sys.argv[1:2] != ["run"]:
        return nullcontext()
    from config.running.services import embedded_services

    return embedded_services()


if __name__ == "__main__":
    main()
