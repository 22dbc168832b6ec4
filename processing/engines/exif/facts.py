"""Everything that a file says, under the name of the tag that says it, and how a field is taken from it."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from processing.engines.exif.metadata import MetadataWarning
from processing.engines.exif.text import clean_text, decode_text

MAX_WARNINGS = 50
MAX_DETAIL = 200
_NUMBER = re.compile(r"\s*([+-]?\d{1,20}(?:\.\d{1,20})?)(?:/(\d{1,20}))?\s*")


class Rational(NamedTuple):
    """A fraction as the file holds it; a denominator of 0 means unknown or infinite."""

    numerator: int
    denominator: int


Scalar = str | int | float | Rational


@dataclass(frozen=True, slots=True)
class Fact:
    """The values of one tag; `shown` replaces them for people where they are codes."""

    values: tuple[Scalar, ...]
    shown: str | None = None

    def as_bytes(self) -> bytes | None:
        """The values as bytes where each of several is one."""
        if len(self.values) > 1 and all(isinstance(value, int) and 0 <= value < 256 for value in self.values):
            return bytes(self.values)
        return None


class UnusableValueError(ValueError):
    """A value that cannot be taken as it stands; `code` is the code of the warning."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Facts:
    """The tags of a file by name (`EXIF FNumber`, `XMP dc:title`), and the warnings that reading them gave.

    A tag that a field was taken from is used up; the others become `tags`, so nothing that was refused is lost.
    """

    def __init__(self) -> None:
        self._facts: dict[str, Fact] = {}
        self._used: set[str] = set()
        self._warnings: dict[MetadataWarning, None] = {}
        self._warnings_dropped = 0

    def add(self, tag: str, *values: Scalar, shown: str | None = None) -> None:
        """Record a tag; the first to speak wins."""
        if values:
            self._facts.setdefault(tag, Fact(values, shown))

    def get(self, tag: str) -> Fact | None:
        return self._facts.get(tag)

    def use(self, *tags: str) -> None:
        self._used.update(tags)

    def remaining(self) -> Iterator[tuple[str, Fact]]:
        """The tags that no field was taken from, in the order of the file."""
        return ((tag, fact) for tag, fact in self._facts.items() if tag not in self._used)

    def warn(self, code: str, field: str, detail: str = "") -> None:
        warning = MetadataWarning(code, field, clean_text(detail)[:MAX_DETAIL])
        if warning in self._warnings:
            return
        if len(self._warnings) < MAX_WARNINGS:
            self._warnings[warning] = None
        else:
            self._warnings_dropped += 1

    def warnings(self) -> tuple[MetadataWarning, ...]:
        if not self._warnings_dropped:
            return tuple(self._warnings)
        return (*self._warnings, MetadataWarning("warnings_dropped", "warnings", str(self._warnings_dropped)))

    def text(self, field: str, *tags: str, limit: int) -> str | None:
        """The first non-blank text among `tags`, cut at `limit` characters; equal texts of the others are used up."""
        chosen: str | None = None
        for tag in tags:
            fact = self._facts.get(tag)
            text = as_text(fact) if fact else ""
            if not text or chosen is None or text == chosen:
                self.use(tag)
                chosen = chosen or text or None
        if chosen and len(chosen) > limit:
            self.warn("text_cut", field, f"{len(chosen)} characters")
            chosen = chosen[:limit].strip()
        return chosen

    def number(self, field: str, *tags: str, low: float, high: float) -> float | None:
        """The first number among `tags` that lies in low..high; each refused one leaves a warning."""
        for tag in tags:
            fact = self._facts.get(tag)
            if fact is None:
                continue
            try:
                number = as_number(fact.values[0])
            except UnusableValueError as error:
                self.warn(error.code, field, f"{tag}: {error.detail}")
                continue
            if low <= number <= high:
                self.use(tag)
                return number
            self.warn("out_of_range", field, f"{tag}: {number:g}")
        return None

    def integer(self, field: str, *tags: str, low: int, high: int) -> int | None:
        """As `number`, rounded."""
        number = self.number(field, *tags, low=low, high=high)
        return None if number is None else round(number)


def as_text(fact: Fact) -> str:
    """The texts of a tag, joined by `; `; bytes that were declared as numbers are read as text."""
    data = fact.as_bytes()
    if data is not None:
        return clean_text(decode_text(data))
    texts = (clean_text(value if isinstance(value, str) else f"{value}") for value in fact.values)
    return "; ".join(text for text in texts if text)


def as_number(value: Scalar) -> float:
    """The value as a finite number; XMP writes numbers as text, `28/10`.

    Raises UnusableValueError (`not_a_number`, `zero_denominator`).
    """
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value)
        if not match:
            raise UnusableValueError("not_a_number", value)
        numerator, denominator = float(match[1]), int(match[2] or 1)
    elif isinstance(value, Rational):
        numerator, denominator = value
    else:
        numerator, denominator = value, 1
    if denominator == 0:
        raise UnusableValueError("zero_denominator", f"{numerator:g}/0")
    number = numerator / denominator
    if not math.isfinite(number):
        raise UnusableValueError("not_a_number", f"{number}")
    return number
