"""What photos are called in a zip file: as they were uploaded, as far as any system can unpack that."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

MANIFEST = "manifest.json"

# with room for a number and a suffix within the 255 bytes that file systems take
LONGEST_BYTES = 200
LONGEST_SUFFIX = 16
# devices of Windows, whatever the extension
_RESERVED = re.compile(r"(CON|PRN|AUX|NUL|COM[0-9¹²³]|LPT[0-9¹²³])", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[<>:"|?*]')
# of categories that nobody sees: control characters, lone surrogates, characters without a meaning, ends of lines
_UNSEEN = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})
# which turn a name round, so that another extension is read than there is
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


class Names:
    """Gives each photo of a zip file a name of its own, also where capitals and small letters are the same."""

    def __init__(self) -> None:
        self._taken = {_folded(MANIFEST)}
        # where to go on counting: thousands may have one name
        self._counted: dict[str, int] = {}

    def take(self, wanted: str, *, beside: Sequence[str] = ()) -> str:
        """Give the name under which a photo is packed: `wanted`, numbered where it, or one `beside` it, is taken.

        `beside` are the suffixes of what goes with it.
        """
        stem, suffix = _parts(wanted)
        folded = _folded(wanted)
        number = self._counted.get(folded, 0)
        while True:
            number += 1
            name = wanted if number == 1 else f"{stem} ({number}){suffix}"
            names = {_folded(name + one) for one in ("", *beside)}
            if names.isdisjoint(self._taken):
                break
        self._counted[folded] = number
        self._taken |= names
        return name


def safe_name(given: str, *, fallback: str, suffix: str | None = None) -> str:
    """Make a file name of what a stranger called a file: one part, that shows what it is, and opens nothing else.

    What is left of an empty one is `fallback`; with `suffix` that is the extension. At most LONGEST_BYTES of UTF-8.
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", given))[-1]
    seen = "".join(one for one in last if one not in _TURNING and unicodedata.category(one) not in _UNSEEN)
    # neither hidden, nor an option, nor what Windows takes the end from
    name = _FORBIDDEN.sub("_", seen).lstrip(" .-~").rstrip(" .") or fallback
    stem, own = _parts(name)
    if suffix is not None:
        own = suffix
    if _RESERVED.fullmatch(stem.split(".")[0].rstrip()):
        stem = f"_{stem}"
    room = LONGEST_BYTES - len(own.encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip(" .") + own


def _parts(name: str) -> tuple[str, str]:
    """Give what is before the extension, and the extension; one that is long is none."""
    path = PurePosixPath(name)
    return (path.stem, path.suffix) if len(path.suffix.encode()) <= LONGEST_SUFFIX else (name, "")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKD", name).casefold())
