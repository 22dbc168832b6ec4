"""`manage.py run`, which `make run` calls."""

import signal
import sys
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from accounts.models import Library, User
from accounts.wording import counted
from config.running import first_start, progress, sample_photos, services
from config.running.processes import (
    AlreadyRunningError,
    CannotListenError,
    Children,
    answers,
    only_run_of,
    require_free_port,
)
from processing import attention
from processing.management.commands.import_photos import summary
from processing.services import folder_import


class Command(BaseCommand):
    """The whole of Darkroom on one machine, until Ctrl-C."""

    help = (
        "Start everything on this machine (database and Redis too, where no address is set), import the folder PHOTOS, "
        "and serve until Ctrl-C. Honours PHOTOS, WAIT=exit, PORT, EVENTS_PORT, DARKROOM_HOST, VAR_DIR, "
        "DARKROOM_ADMIN_EMAIL, DARKROOM_ADMIN_PASSWORD."
    )

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Start, import, report, serve, stop."""
        self.console = Console(file=self.stdout, highlight=False, soft_wrap=True)
        if settings.RUN_PHOTOS and not Path(settings.RUN_PHOTOS).exists():
            raise CommandError(f"There is no folder {settings.RUN_PHOTOS}: set PHOTOS to the folder of your photos.")
        try:
            require_free_port(settings.RUN_HOST, settings.RUN_PORT)
            require_free_port(settings.RUN_HOST, settings.EVENTS_PORT, setting="EVENTS_PORT")
        except CannotListenError as error:
            raise CommandError(str(error)) from error
        signal.signal(signal.SIGTERM, _interrupt)
        settings.VAR_DIR.mkdir(parents=True, exist_ok=True)
        try:
            with only_run_of(settings.VAR_DIR):
                self.run()
        except AlreadyRunningError as error:
            raise CommandError(str(error)) from error

    def run(self) -> None:
        """Run it from the first preparation to the last process that is stopped."""
        login, library = self.prepare()
        self.children = Children(directory=settings.BASE_DIR, log_folder=settings.VAR_DIR / "log")
        try:
            self.start_processes()
            is_complete = self.import_photos(library, User.objects.get(email=login.email.lower()))
            self.report(login)
            if settings.RUN_WAIT != "exit":
                self.serve()
        except KeyboardInterrupt:
            is_complete = settings.RUN_WAIT != "exit"
            self.console.print()
        finally:
            self.console.print("Stopping: work in hand is finished first ...")
            for name in self.children.stop():
                self.console.print(f"{name} took too long and was killed; its work is taken up at the next start.")
        if not is_complete:
            sys.exit(1)

    def prepare(self) -> tuple[first_start.Login, Library]:
        """Bring the database up to date and see to administrator, library and models."""
        call_command("migrate", verbosity=0, interactive=False)
        login = first_start.make_administrator(email=settings.RUN_ADMIN_EMAIL, password=settings.RUN_ADMIN_PASSWORD)
        library = first_start.make_library(admin_email=login.email, tell=self.console.print)
        first_start.install_models(tell=self.console.print)
        return login, library

    def start_processes(self) -> None:
        """Start the web server, the process of events, a worker for every group of queues, and beat."""
        python = sys.executable
        bind = f"{settings.RUN_HOST}:{settings.RUN_PORT}"
        web = [python, "-m", "gunicorn", "config.wsgi:application", "--config", "python:config.gunicorn"]
        self.children.start("web", [*web, "--bind", bind])
        where = ["--host", settings.RUN_HOST, "--port", str(settings.EVENTS_PORT)]
        self.children.start("events", [python, "manage.py", "events", *where])
        for name, queues in settings.WORKER_GROUPS.items():
            worker = [python, "-m", "celery", "-A", "config", "worker", "-Q", ",".join(queues), "-n", f"{name}@%h"]
            self.children.start(f"worker-{name}", worker)
        schedule = ["--pidfile", "", "--schedule", str(settings.VAR_DIR / "beat-schedule")]
        self.children.start("beat", [python, "-m", "celery", "-A", "config", "beat", *schedule])

    def import_photos(self, library: Library, uploader: User) -> bool:
        """Import the photos and wait for their runs; whether all of them came to an end."""
        root = Path(settings.RUN_PHOTOS) if settings.RUN_PHOTOS else sample_photos.make_samples(settings.VAR_DIR)
        paths = folder_import.files_below(root)
        self.console.print(f"Taking in {counted(len(paths), 'file')} of {root} ...")
        for paused in attention.paused():
            self.console.print(f"[yellow]{paused.sentence}")
        with progress.bars(self.console) as shown:
            files = folder_import.import_files(paths=paths, library=library, uploader=uploader)
            results = shown.import_files(files, total=len(paths))
            is_complete = progress.wait_until_settled(shown, watch=self.watch)
        self.console.print(summary(results, root=root))
        if not is_complete:
            self.console.print(f"[red]Nothing has moved for minutes: see {settings.VAR_DIR / 'log'}.")
        return is_complete

    def report(self, login: first_start.Login) -> None:
        """Say what came of it, where to look, and how to get in."""
        url = f"http://{settings.RUN_HOST}:{settings.RUN_PORT}"
        self.console.print(progress.result_table())
        for line in progress.dead_lines():
            self.console.print(f"[red]{line}")
        self.console.print(progress.result_line())
        self.console.print(f"\nadmin     {url}/admin/\nAPI docs  {url}/api/docs\nhealth    {url}/health")
        self.console.print(f"events    http://{settings.RUN_HOST}:{settings.EVENTS_PORT}/api/v1/events\n")
        if login.password:
            self.console.print(f"login     {login.email}  {login.password}")
            self.console.print(f"          (shown this once; kept in {login.password_file})")
        else:
            kept = f"password in {login.password_file}" if login.password_file else "the password that you gave"
            self.console.print(f"login     {login.email}  ({kept})")

    def serve(self) -> None:
        """Go on until Ctrl-C, and start again what ends by itself; it is said once the web server answers."""
        while not answers(settings.RUN_HOST, settings.RUN_PORT):
            self.watch()
            time.sleep(0.2)
        self.console.print("\nServing. Ctrl-C stops everything that was started here.")
        while True:
            self.watch()
            time.sleep(1)

    def watch(self) -> None:
        """Look after the processes, and the services that they need."""
        for name in services.start_again():
            self.console.print(f"[yellow]{name} had ended and was started again")
        for message in self.children.watch():
            self.console.print(f"[yellow]{message}")


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt
