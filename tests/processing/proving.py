"""How the tests of `manage.py prove` ask it: the command itself, its JSON, its exit status."""

import io
import json
from dataclasses import dataclass, field

from django.core.management import call_command

NOTHING = {"lost": 0, "doubled": 0, "wrong": 0, "stuck": 0, "leaked": 0}


@dataclass
class Said:
    """What the command has said: the five counts, and (code, photo, run, item) of every offence."""

    status: int
    body: dict = field(repr=False)

    @property
    def counts(self) -> dict[str, int]:
        """The five counts."""
        return self.body["counts"]

    @property
    def offences(self) -> set[tuple[str, str]]:
        """Code and subject: the photo, else the stored object, the library or the user."""
        subjects = ("photo", "item", "library", "user")
        return {(one["code"], next(one[name] for name in subjects if name in one)) for one in self.body["findings"]}

    def named(self, name: str) -> list[str]:
        """Give one column of the findings."""
        return [one.get(name, "") for one in self.body["findings"]]


def prove(*arguments: object) -> Said:
    """Run the command for JSON."""
    output = io.StringIO()
    status = 0
    try:
        call_command("prove", "--json", *map(str, arguments), stdout=output)
    except SystemExit as ended:
        status = ended.code
    return Said(status, json.loads(output.getvalue()))


def say(*arguments: object) -> tuple[int, str]:
    """Run the command for a person; gives the exit status and the text."""
    output = io.StringIO()
    status = 0
    try:
        call_command("prove", *map(str, arguments), stdout=output)
    except SystemExit as ended:
        status = ended.code
    return status, output.getvalue()
