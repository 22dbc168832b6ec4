"""Which file beside a photo is its sidecar: told by the names alone.

Google writes a photo's name, `.supplemental-metadata` (older exports: nothing), cuts that at 46 characters, and adds
`.json`; the number of a doubled name goes to the end, so `a(1).jpg` has `a.jpg.supplemental-metadata(1).json`, once
`a.jpg(1).json`. An edited copy shares the file of its original.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

XMP, TAKEOUT = "xmp", "takeout"
_CUT_AT = 46
_SUPPLEMENTAL = ".supplemental-metadata"
_NUMBERED = re.compile(r"(.+)(\([1-9]\d{0,5}\))")
# in the languages that exports were seen in
_EDITED = (
    "-edited", "-bearbeitet", "-modifié", "-modificato", "-editado", "-ha editado", "-editada", "-bewerkt",
    "-edytowane", "-redigerad", "-redigeret", "-redigert", "-muokattu", "-upraveno", "-編集済み", "-编辑", "-編輯",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Candidate:
    """A name that a photo's sidecar may have, and who would have written it."""

    name: str
    kind: str


def candidates(photo_name: str) -> list[Candidate]:
    """Give the names that the sidecar of a photo may have, in the order in which they are believed, each once."""
    stem, extension = _split(photo_name)
    names = [Candidate(f"{photo_name}.{suffix}", XMP) for suffix in ("xmp", "XMP")]
    # one for all files of a name: a raw file and its JPEG share it
    names += [Candidate(f"{stem}.{suffix}", XMP) for suffix in ("xmp", "XMP") if extension]
    names += [Candidate(name, TAKEOUT) for name in _takeout(stem, extension)]
    own = {photo_name, ".json"}
    return [one for one in dict.fromkeys(names) if one.name not in own]


def _takeout(stem: str, extension: str) -> Iterator[str]:
    for base in _originals(stem):
        match = _NUMBERED.fullmatch(base)
        # a number of Google's first; else it is a part of the name
        if match:
            yield from _written(match[1], extension, match[2])
        yield from _written(base, extension, "")


def _written(stem: str, extension: str, number: str) -> Iterator[str]:
    # what was uploaded without an extension has none there either
    for name in (stem + extension, stem):
        yield f"{(name + _SUPPLEMENTAL)[:_CUT_AT]}{number}.json"
        yield f"{name[:_CUT_AT]}{number}.json"


def _originals(stem: str) -> Iterator[str]:
    """Give the stem, and that of the original if it is of an edited copy: `a-edited(1)` is one of `a(1)`."""
    yield stem
    match = _NUMBERED.fullmatch(stem)
    bare, number = (match[1], match[2]) if match else (stem, "")
    for edited in _EDITED:
        if bare.lower().endswith(edited) and len(bare) > len(edited):
            yield bare[: -len(edited)] + number


def _split(name: str) -> tuple[str, str]:
    stem, dot, extension = name.rpartition(".")
    return (stem, dot + extension) if stem else (name, "")
