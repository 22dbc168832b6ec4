"""Real photos in any number: each is one of a folder, made unique by a comment that changes no pixel."""

import random
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
# larger ones would make a run about decoding
MAX_BYTES = 1_500_000
_PNG_END_BYTES = 12
_JPEG_APPLICATION = range(0xE0, 0xF0)
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Picture:
    """A photo to be uploaded: the file's name, its source's and its bytes."""

    name: str
    source: str
    data: bytes


class Pictures:
    """An endless stream of unique photos from a folder, in an order that a seed decides."""

    def __init__(self, folder: Path, *, seed: int) -> None:
        self._paths = [path for path in sorted(folder.rglob("*")) if _is_usable(path)]
        if not self._paths:
            raise ValueError(f"There is no JPEG or PNG of at most {MAX_BYTES:,} bytes below {folder}.")
        self._root = folder
        self._seed = seed
        self._lock = threading.Lock()
        self._stream = self._endless()

    def __iter__(self) -> Iterator[Picture]:
        return self

    def __next__(self) -> Picture:
        with self._lock:  # several loads may take from one stream
            return next(self._stream)

    def _endless(self) -> Iterator[Picture]:
        order = random.Random(self._seed)
        number = 0
        while True:
            paths = list(self._paths)
            order.shuffle(paths)
            for path in paths:
                number += 1
                comment = f"faults seed {self._seed} photo {number}".encode()
                source = str(path.relative_to(self._root))
                yield Picture(f"{number:06d}{path.suffix.lower()}", source, with_comment(path.read_bytes(), comment))


def with_comment(data: bytes, comment: bytes) -> bytes:
    """Give the same picture with a comment: in a PNG, or after the applications' segments of a JPEG."""
    if data.startswith(_PNG_SIGNATURE):
        body = b"tEXt" + b"Comment\0" + comment
        chunk = len(body[4:]).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
        return data[:-_PNG_END_BYTES] + chunk + data[-_PNG_END_BYTES:]
    position = 2
    while data[position] == 0xFF and data[position + 1] in _JPEG_APPLICATION:
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
    return data[:position] + segment + data[position:]


def _is_usable(path: Path) -> bool:
    if path.suffix.lower() not in SUFFIXES or not path.is_file() or path.stat().st_size > MAX_BYTES:
        return False
    with path.open("rb") as file:
        head = file.read(8)
    return head.startswith(b"\xff\xd8\xff") or head == _PNG_SIGNATURE
