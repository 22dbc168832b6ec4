"""What is done to a good file, each by chance from a seed: the same seed and number give the same bytes."""

import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fuzz_fields import Field, length_fields

KILOBYTE = 1024
TRUNCATION_SHARE = 0.4  # of the mutated files
_SIGNATURES = (
    b"\xff\xd8\xff\xe0",
    b"\xff\xd8\xff\xe1",
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"RIFF\x00\x10\x00\x00WEBPVP8 ",
    b"RIFF\x00\x10\x00\x00WEBPVP8L",
    b"II*\x00",
    b"MM\x00*",
    b"II+\x00\x08\x00\x00\x00",
    b"\x00\x00\x00\x18ftypheic",
    b"\x00\x00\x00\x18ftypmif1",
    b"\x00\x00\x00\x1cftypavif",
    b"\x00\x00\x00\x0cJXL ",
    b"%PDF-1.7",
    b"8BPS\x00\x01",
)
_SMALL = (0, 1, 2, 3, 7, 8, 12, 16)

Mutation = Callable[[bytes, random.Random, Sequence[Path]], bytes]


@dataclass(frozen=True, slots=True)
class Case:
    """One file to try: which sample, what is done to it, and the number that its chance comes from."""

    number: int
    sample: Path
    kind: str
    cut: int = 0  # of a truncation: how many bytes stay

    def make(self, *, seed: int, samples: Sequence[Path]) -> bytes:
        """Give the bytes of the file."""
        data = self.sample.read_bytes()
        if self.kind == "unchanged":
            return data
        if self.kind == "truncated":
            return data[: self.cut]
        return MUTATIONS[self.kind](data, random.Random(f"{seed}:{self.number}"), samples)


def plan(samples: Sequence[Path], *, count: int, seed: int) -> list[Case]:
    """Choose every sample as it is, and `count` mutated files: truncations at whole kilobytes, then the rest by turns.

    There are more whole kilobytes than files to try: `cuttable` counts them, and each sample has its turn.
    """
    chance = random.Random(f"{seed}:plan")
    chosen: list[tuple[Path, str, int]] = [(sample, "unchanged", 0) for sample in samples]
    total = len(chosen) + count
    chosen += _truncations(samples, limit=int(count * TRUNCATION_SHARE), chance=chance)
    kinds = list(MUTATIONS)
    while len(chosen) < total:
        chosen.append((chance.choice(samples), kinds[len(chosen) % len(kinds)], 0))
    return [Case(number, *one) for number, one in enumerate(chosen)]


def cuttable(samples: Sequence[Path]) -> int:
    """Count the places at which a sample can be cut at a whole kilobyte."""
    return sum(len(_kilobytes(sample)) for sample in samples)


def _kilobytes(sample: Path) -> range:
    return range(KILOBYTE, sample.stat().st_size, KILOBYTE)


def _truncations(samples: Sequence[Path], *, limit: int, chance: random.Random) -> list[tuple[Path, str, int]]:
    """Choose places by turns of the samples, each of which has as many as any other until it is cut everywhere."""
    waiting = [(sample, chance.sample(_kilobytes(sample), len(_kilobytes(sample)))) for sample in samples]
    cuts: list[tuple[Path, str, int]] = []
    while len(cuts) < limit and (waiting := [(sample, places) for sample, places in waiting if places]):
        cuts += [(sample, "truncated", places.pop()) for sample, places in waiting]
    return cuts[:limit]


def _flip_bits(data: bytes, chance: random.Random, _samples: Sequence[Path]) -> bytes:
    """One to 64 bits, half of the times within the first four kilobytes, where the structures are."""
    changed = bytearray(data)
    end = min(len(data), 4 * KILOBYTE) if chance.random() < 0.5 else len(data)
    for _ in range(2 ** chance.randrange(7)):
        changed[chance.randrange(end)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _fill(data: bytes, chance: random.Random, _samples: Sequence[Path]) -> bytes:
    """A stretch of one byte's value, or of noise."""
    start = chance.randrange(len(data))
    length = min(len(data) - start, 2 ** chance.randrange(1, 15))
    filling = chance.randbytes(length) if chance.random() < 0.4 else bytes([chance.choice((0, 0xFF, 0x2A))]) * length
    return data[:start] + filling + data[start + length :]


def _remove(data: bytes, chance: random.Random, _samples: Sequence[Path]) -> bytes:
    start = chance.randrange(len(data))
    return data[:start] + data[start + 2 ** chance.randrange(14) :]


def _repeat(data: bytes, chance: random.Random, _samples: Sequence[Path]) -> bytes:
    """A stretch stands there many times, as far as one megabyte goes."""
    start = chance.randrange(len(data))
    end = start + 2 ** chance.randrange(1, 14)
    times = min(2 ** chance.randrange(1, 12), 1_000_000 // (end - start))
    return data[:end] + data[start:end] * times + data[end:]


def _splice(data: bytes, chance: random.Random, samples: Sequence[Path]) -> bytes:
    """The head of one file before the body of another."""
    other = chance.choice(samples).read_bytes()
    return data[: chance.randrange(1, max(2, min(len(data), 64 * KILOBYTE)))] + other[chance.randrange(len(other)) :]


def _swap_format(data: bytes, chance: random.Random, _samples: Sequence[Path]) -> bytes:
    """Another format's signature over the first bytes, or before them."""
    signature = chance.choice(_SIGNATURES)
    return signature + (data if chance.random() < 0.3 else data[len(signature) :])


def _lie(data: bytes, chance: random.Random, _samples: Sequence[Path]) -> bytes:
    """One to four lengths, counts or offsets say something else; a PNG's checksums are made right half of the times."""
    fields = length_fields(data)
    if not fields:
        return _flip_bits(data, chance, _samples)
    changed = bytearray(data)
    for field in chance.choices(fields, k=chance.randrange(1, 5)):
        changed[field.offset : field.offset + field.size] = _lying_value(data, field, chance)
    if data.startswith(b"\x89PNG") and chance.random() < 0.5:
        return _with_checksums(bytes(changed))
    return bytes(changed)


def _lying_value(data: bytes, field: Field, chance: random.Random) -> bytes:
    largest = 256**field.size - 1
    true = int.from_bytes(data[field.offset : field.offset + field.size], field.order)
    value = chance.choice(
        (
            *_SMALL, true - 1, true + 1, true * 2, largest, largest - 1, largest // 2, largest // 2 + 1,
            len(data), len(data) - 1, field.offset, 65_500, 100_000, chance.randrange(largest + 1),
        )
    )  # fmt: skip
    return (value & largest).to_bytes(field.size, field.order)


def _with_checksums(data: bytes) -> bytes:
    """A PNG whose every chunk has the checksum of what it holds."""
    whole, offset = bytearray(data), 8
    while offset + 12 <= len(whole):
        end = offset + 8 + int.from_bytes(whole[offset : offset + 4], "big")
        if end + 4 > len(whole):
            break
        whole[end : end + 4] = zlib.crc32(whole[offset + 4 : end]).to_bytes(4, "big")
        offset = end + 4
    return bytes(whole)


MUTATIONS: dict[str, Mutation] = {
    "bits flipped": _flip_bits,
    "wrong lengths": _lie,
    "filled": _fill,
    "head spliced": _splice,
    "format swapped": _swap_format,
    "part removed": _remove,
    "part repeated": _repeat,
}
