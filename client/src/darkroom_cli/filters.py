"""The options that photos are found by: all that the API has, as its schema says them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any

import click
from darkroom_client import models

from darkroom_cli import lookups
from darkroom_cli.connection import Connection


class Moment(click.ParamType):
    """A time in ISO 8601, also shortened: `2024`, `2024-05`, `2024-05-31`. UTC unless it says otherwise."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read it."""
        if isinstance(value, datetime):
            return value
        for form in ("%Y", "%Y-%m"):
            try:
                return datetime.strptime(value, form).replace(tzinfo=UTC)
            except ValueError:
                continue
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time, such as 2024-05-31 or 2024-05-31T18:00+02:00.", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_TYPES = {
    "string": click.STRING,
    "integer": click.INT,
    "number": click.FLOAT,
    "boolean": click.BOOL,
    "uuid": click.UUID,
    "date-time": Moment(),
}


@cache
def known() -> list[dict[str, Any]]:
    """Give the filters as the build has written them of the schema."""
    return json.loads(resources.files("darkroom_cli").joinpath("photo_filters.json").read_text())


def photo_filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each filter to a command."""
    for one in reversed(known()):
        name = one["name"].replace("_", "-")
        kind = click.Choice(one["choices"]) if one["choices"] else _TYPES[one["type"]]
        told = one["help"].replace("`", "")
        if one["name"] in lookups.NAMED:
            kind, told = click.STRING, f"{told} By its {lookups.NAMED[one['name']]}, or its id."
        flags = f"--{name}/--no-{name}" if one["type"] == "boolean" else f"--{name}"
        repeated = {"multiple": True} if one["is_repeated"] else {"default": None}
        option = click.option(
            flags,
            one["name"],
            type=None if one["type"] == "boolean" else kind,
            help=told,
            **repeated,
        )
        command = option(command)
    return command


def given(parameters: dict[str, Any], *, connection: Connection) -> dict[str, Any]:
    """Take the filters that were given out of a command's parameters, as the generated client wants them."""
    found: dict[str, Any] = {}
    for one in known():
        name, value = one["name"], parameters.pop(one["name"])
        if value is None or value == ():
            continue
        if one["choices"]:
            value = getattr(models, f"PhotosList{name.title().replace('_', '')}")(value)
        found[name] = list(value) if one["is_repeated"] else value
    return lookups.with_ids(found, connection=connection)
