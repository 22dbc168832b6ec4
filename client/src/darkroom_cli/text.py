"""Text that strangers wrote, as it may be shown and as it may name a file; and sizes for people."""

import re
import unicodedata
from uuid import UUID

# the longest name that file systems take is 255 bytes; an id, `.xmp` and the like have to fit behind
NAME_BYTES = 180
# what Windows keeps for devices, and what it forbids
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[<>:"|?*]')


def printable(text: str) -> str:
    """Give text without what steers a terminal, or turns the direction of writing."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


def safe_name(name: str, *, otherwise: UUID) -> str:
    """Give the name of a file in a folder, out of a name that a stranger chose: no path, nothing hidden, no device."""
    name = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    name = "".join("_" if unicodedata.category(one).startswith("C") else one for one in name)
    name = _FORBIDDEN.sub("_", name).strip(" .")
    if _DEVICES.match(name):
        name = f"_{name}"
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension.encode()) > 16:
        stem, extension = name, ""
    room = NAME_BYTES - len(f"{dot}{extension}".encode())
    stem = stem.encode()[:room].decode(errors="ignore").rstrip(" .")
    return f"{stem}.{extension}" if stem and extension else stem or str(otherwise)


def shortened(text: str, width: int) -> str:
    """Give text with its middle left out where it is longer: names differ at their beginning, and at their end."""
    end = width // 2
    return text if len(text) <= width else f"{text[: width - end - 1]}…{text[-end:]}"


def size(count: float) -> str:
    """Write a number of bytes."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:,.1f} {unit}"
        count /= 1000
    raise AssertionError


def counted(number: int, noun: str) -> str:
    """Write a number of things."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
