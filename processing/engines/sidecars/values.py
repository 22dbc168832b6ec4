"""What a sidecar says, in one shape for all of them."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime

from processing.engines.errors import EngineError
from processing.engines.exif.text import clean_text

MAX_SIDECAR_BYTES = 1024 * 1024
MAX_TITLE, MAX_CAPTION, MAX_KEYWORD, MAX_NAME = 1000, 10_000, 255, 255
MAX_KEYWORDS, MAX_PEOPLE = 500, 100


class SidecarError(EngineError):
    """A file beside a photo that is no sidecar, or is built to hurt; nothing of it is taken."""

    code = "sidecar_damaged"
    permanent = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarValues:
    """What a sidecar says of a photo. None, "" or (): it is silent.

    Texts are stripped, without control characters, and cut: `title` at 1,000, `caption` at 10,000, a keyword and a name
    at 255 characters; 500 keywords and 100 names at most. `rating` is -1 (rejected) to 5. `taken_at` is aware; a wall
    clock of an unknown zone is given as if it were UTC. `latitude` and `longitude` are WGS 84 degrees, both or neither.
    """

    title: str = ""
    caption: str = ""
    keywords: tuple[str, ...] = ()
    rating: int | None = None
    taken_at: datetime | None = None
    latitude: float | None = None
    longitude: float | None = None
    favourite: bool | None = None
    people: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Give the values as JSON takes them, the time as ISO 8601."""
        taken_at = self.taken_at and self.taken_at.isoformat()
        return {**asdict(self), "keywords": list(self.keywords), "people": list(self.people), "taken_at": taken_at}


def texts(found: Iterable[object], *, length: int, count: int) -> tuple[str, ...]:
    """Give those of many values that are texts, each once, cut at `length` characters, and `count` of them at most."""
    chosen: dict[str, None] = {}
    for one in found:
        text = clean_text(one)[:length].strip() if isinstance(one, str) else ""
        if text:
            chosen.setdefault(text)
        if len(chosen) == count:
            break
    return tuple(chosen)
