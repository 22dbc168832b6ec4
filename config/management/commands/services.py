from argparse import ArgumentParser

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config import embedded

NAMES = {embedded.POSTGRES: "PostgreSQL", embedded.REDIS: "Redis"}


class Command(BaseCommand):
    help = "Start, stop or show the embedded PostgreSQL and Redis below VAR_DIR."
    requires_system_checks = ()  # they may need the database that is started here

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what to do."""
        parser.add_argument("action", choices=["start", "stop", "status"], metavar="{start,stop,status}")

    def handle(self, *, action: str, **_: object) -> None:
        """Do it, and say of each service what became of it."""
        try:
            said = {"start": self._start, "stop": self._stop, "status": self._status}[action]()
        except embedded.EmbeddedServiceError as error:
            raise CommandError(str(error)) from error
        for name, what in said.items():
            self.stdout.write(f"{NAMES[name]}: {what}")
        if action == "status" and (folder := embedded.data_folder(settings.VAR_DIR)):
            self.stdout.write(f"Data: {folder}")

    def _start(self) -> dict[str, str]:
        said = self._given_elsewhere()
        if not settings.EMBEDDED_SERVICES:
            return said
        services = embedded.start(settings.VAR_DIR, only=settings.EMBEDDED_SERVICES)
        for name in settings.EMBEDDED_SERVICES:
            said[name] = "started" if name in services.started else "was running already"
        return said

    def _stop(self) -> dict[str, str]:
        stopped = embedded.stop(settings.VAR_DIR)
        return {name: "stopped" if name in stopped else "was not running" for name in NAMES}

    def _status(self) -> dict[str, str]:
        services = embedded.running(settings.VAR_DIR)
        runs = {
            embedded.POSTGRES: bool(services and services.database_url),
            embedded.REDIS: bool(services and services.redis_url),
        }
        said = {name: "running" if runs[name] else "not running" for name in NAMES}
        return said | self._given_elsewhere()

    def _given_elsewhere(self) -> dict[str, str]:
        elsewhere = set(NAMES) - set(settings.EMBEDDED_SERVICES)
        return {name: "not embedded, an address was given" for name in NAMES if name in elsewhere}
