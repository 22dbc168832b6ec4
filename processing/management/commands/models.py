"""`manage.py models list | install | use | backfill | drop`."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from accounts.problems import ConflictError
from processing.engines import catalogue, installation
from processing.engines.errors import EngineError
from processing.models import ModelSelection
from processing.services import selection

IN_THE_BACKGROUND = "The photos that are there are planned in the background."


class Command(BaseCommand):
    """The models: what there is, what this host has, what is in use."""

    help = "List the known models, install one on this host, or choose which one the installation uses."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the actions."""
        actions = parser.add_subparsers(dest="action", required=True, metavar="{list,install,use,backfill,drop}")
        actions.add_parser("list", help="the known models, and which are installed here and in use")
        for name, text in (
            ("install", "fetch or find a model's weights, check them, convert them for the CPU"),
            ("use", "use an installed model for its task, and plan its runs for the photos that are there"),
            ("backfill", "run an installed model beside the one in use, so that a later `use` finds its results"),
            ("drop", "stop running a model that is not in use"),
        ):
            actions.add_parser(name, help=text).add_argument("model", choices=sorted(catalogue.MODELS))

    def handle(self, *_args: Any, action: str, **options: Any) -> None:
        """Do it; an error is one line that says what to do."""
        try:
            getattr(self, f"_{action}")(**({"name": options["model"]} if "model" in options else {}))
        except EngineError as error:
            raise CommandError(f"{error.code}: {error}") from error
        except ConflictError as error:
            raise CommandError(error.detail) from error

    def _list(self) -> None:
        table = Table(box=None, pad_edge=False)
        for column in ("model", "task", "installed here", "state"):
            table.add_column(column, no_wrap=True)
        table.add_column("what it is", overflow="fold")
        selected = {row.model: "in use" if row.in_use else "backfill" for row in ModelSelection.objects.all()}
        for model in catalogue.MODELS.values():
            found = installation.installed(model.name, settings.MODELS_DIR)
            facts = [model.about, f"{model.dimensions} dimensions" if model.dimensions else "", model.licence]
            table.add_row(
                model.name,
                model.task,
                f"yes ({found.weights_hash[:8]})" if found else "no",
                selected.get(model.name, ""),
                "; ".join(fact for fact in facts if fact),
            )
        Console(file=self.stdout, highlight=False).print(table)

    def _install(self, name: str) -> None:
        model = installation.install(name, models_dir=settings.MODELS_DIR)
        self.stdout.write(f"{name} is installed in {model.folder} (weights {model.weights_hash[:8]}).")

    def _use(self, name: str) -> None:
        selection.select_model(installed=self._installed(name), in_use=True)
        self.stdout.write(f"{name} is in use.\n{IN_THE_BACKGROUND}")

    def _backfill(self, name: str) -> None:
        selection.select_model(installed=self._installed(name), in_use=False)
        self.stdout.write(f"{name} is being backfilled; `manage.py models use {name}` flips to it.")
        self.stdout.write(IN_THE_BACKGROUND)

    def _drop(self, name: str) -> None:
        selection.drop_model(name=name)
        self.stdout.write(f"{name} is not run any more.\n{IN_THE_BACKGROUND}")

    def _installed(self, name: str) -> installation.InstalledModel:
        found = installation.installed(name, settings.MODELS_DIR)
        if found is None:
            raise CommandError(f"{name} is not installed here: run `manage.py models install {name}` first.")
        return found
