"""What edits ask for and what they changed, in words: for whoever reads the history."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from django.utils.translation import gettext as _

from photos.models import Revision

LONGEST = 200
# in the order in which a page shows them
_NAMES = (
    "title", "caption", "rating", "taken_at", "shift_taken_at", "position", "is_hidden", "tags", "add_tags",
    "remove_tags",
)  # fmt: skip
_SECONDS_A_MINUTE, _MINUTES_AN_HOUR, _HOURS_A_DAY = 60, 60, 24


def name_of(field: str) -> str:
    """Give what a person calls a field."""
    return {
        "title": _("Title"),
        "caption": _("Caption"),
        "rating": _("Rating"),
        "taken_at": _("Taken"),
        "shift_taken_at": _("Clock moved by"),
        "position": _("Position"),
        "is_hidden": _("Hidden from visitors"),
        "tags": _("Tags"),
        "add_tags": _("Tags put on"),
        "remove_tags": _("Tags taken off"),
    }.get(field, field)


def asked_for(changes: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Give what an edit asks for: (field, value) in words."""
    return [(name_of(name), _asked(name, changes[name])) for name in _NAMES if name in changes]


def revision_rows(revision: Revision) -> list[tuple[str, str, str]]:
    """Give what an edit changed of a photo: (field, before, after) in words."""
    fields = [name for name in _NAMES if name in revision.after]
    return [(name_of(name), _shown(revision.before.get(name)), _shown(revision.after[name])) for name in fields]


def _asked(name: str, value: Any) -> str:
    if value is None:
        return _("as the file says")
    if name == "taken_at":
        return value.replace("T", " ")
    if name == "shift_taken_at":
        return _duration(value)
    if name == "position":
        place = [value["latitude"], value["longitude"]]
        return _("none") if place[0] is None else _words(place)
    return _words(value)


def _shown(said: Any) -> str:
    """Say what a revision keeps: what was shown then, of corrections and tags; the value itself of the others."""
    return _words(said.get("shown") if isinstance(said, Mapping) else said)


def _words(value: Any) -> str:
    if value is None or value in ("", []):
        return "-"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, Mapping):
        return _clock(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        text = ", ".join(f"{one:.5f}" if isinstance(one, float) else str(one) for one in value)
    else:
        text = str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _clock(said: Mapping[str, Any]) -> str:
    """Say a time on the clock of the camera, with its zone where that is known."""
    moment, offset = datetime.fromisoformat(said["at"]), said.get("offset")
    if offset is None:
        return f"{moment:%Y-%m-%d %H:%M:%S}"
    return f"{moment.astimezone(timezone(timedelta(minutes=offset))):%Y-%m-%d %H:%M:%S %Z}"


def _duration(seconds: int) -> str:
    sign, rest = ("-" if seconds < 0 else "+"), abs(seconds)
    minutes, seconds = divmod(rest, _SECONDS_A_MINUTE)
    hours, minutes = divmod(minutes, _MINUTES_AN_HOUR)
    days, hours = divmod(hours, _HOURS_A_DAY)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s"))
    return sign + " ".join(f"{count} {unit}" for count, unit in parts if count)
