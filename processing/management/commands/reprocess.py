"""`manage.py reprocess`: plan what is missing, or run a stage again."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from accounts.models import Library
from photos.models import Photo
from processing.services import reprocess
from processing.stages import registry


class Command(BaseCommand):
    """Plans runs for photos that are there already."""

    help = (
        "Plan the runs that photos should have and have not (after a change of settings, models or code). "
        "With --stage, run that stage again whatever came of it before."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--library", help="only the photos of this library")
        parser.add_argument("--stage", choices=[stage.name for stage in registry.all_stages()])
        parser.add_argument("--photo", action="append", type=UUID, help="only this photo, by its id; may be repeated")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Plan, and say how many runs there are to do."""
        photos = Photo.objects.present()
        if options["library"]:
            library = Library.objects.filter(name=options["library"]).first()
            if library is None:
                raise CommandError(f"There is no library named {options['library']!r}.")
            photos = photos.filter(library=library)
        if options["photo"]:
            photos = photos.filter(pk__in=options["photo"])
        if options["stage"]:
            count = reprocess.run_again(photos=photos, stage=options["stage"])
            self.stdout.write(f"{count} runs of {options['stage']} start over.")
        else:
            count = reprocess.plan_missing(photos=photos)
            self.stdout.write(f"{count} runs were planned.")
