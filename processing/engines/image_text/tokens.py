"""CLIP's tokens: byte pair encoding over 49,408 entries, as open_clip's SimpleTokenizer makes them.

Sennrich, Haddow and Birch, Neural machine translation of rare words with subword units, 2016; the vocabulary and the
rules are OpenAI's (github.com/openai/CLIP, MIT). open_clip's own class comes with torch, which no worker on a CPU and
no web process imports; the tests hold this one against it.
"""

import gzip
import html
import importlib.util
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import ftfy
import numpy as np
import regex

VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"
START, END = "<start_of_text>", "<end_of_text>"
_WORDS = regex.compile(
    rf"{START}|{END}|'s|'t|'re|'ve|'m|'ll|'d|[\p{{L}}]+|[\p{{N}}]|[^\s\p{{L}}\p{{N}}]+", regex.IGNORECASE
)
# what is read of a text, whoever wrote it: many times what any model takes
MAX_CHARACTERS = 2000


def tokens(texts: Sequence[str], *, context_length: int) -> np.ndarray:
    """Give the tokens of texts: int64 (n, context_length), padded with 0; what is longer is cut, its end kept."""
    pairs = _pairs()
    found = np.zeros((len(texts), context_length), dtype=np.int64)
    for row, text in zip(found, texts, strict=True):
        ids = [pairs.ids[START], *pairs.encode(_cleaned(text)), pairs.ids[END]]
        if len(ids) > context_length:
            ids = [*ids[: context_length - 1], pairs.ids[END]]
        row[: len(ids)] = ids
    return found


def _cleaned(text: str) -> str:
    text = html.unescape(html.unescape(ftfy.fix_text(text[:MAX_CHARACTERS])))
    return " ".join(text.split()).lower()


class _Pairs:
    """The pairs that are joined, the most frequent first, and the number of each entry."""

    def __init__(self, path: Path) -> None:
        lines = gzip.decompress(path.read_bytes()).decode().split("\n")
        merges = [tuple(line.split()) for line in lines[1 : 49152 - 256 - 2 + 1]]
        self._letters = _letters()
        letters = list(self._letters.values())
        entries = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in merges), START, END]
        self.ids = {entry: number for number, entry in enumerate(entries)}
        self._ranks = {pair: rank for rank, pair in enumerate(merges)}

    def encode(self, text: str) -> list[int]:
        found: list[int] = []
        for word in _WORDS.findall(text):
            if word in {START, END}:
                found.append(self.ids[word])
                continue
            letters = "".join(self._letters[byte] for byte in word.encode())
            found.extend(self.ids[part] for part in self._join([*letters[:-1], letters[-1] + "</w>"]))
        return found

    def _join(self, parts: list[str]) -> list[str]:
        """Join the pair that comes first in the list of pairs, wherever it stands, until there is none."""
        while len(parts) > 1:
            best = min(pairwise(parts), key=lambda pair: self._ranks.get(pair, len(self._ranks)))
            if best not in self._ranks:
                break
            joined, place = [], 0
            while place < len(parts):
                if tuple(parts[place : place + 2]) == best:
                    joined.append("".join(best))
                    place += 2
                else:
                    joined.append(parts[place])
                    place += 1
            parts = joined
        return parts


def _letters() -> dict[int, str]:
    """Give a printable character for each byte: itself where it is one."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + place) for place, byte in enumerate(others)}


@cache
def _pairs() -> _Pairs:
    # found, not imported: it would bring torch with it
    spec = importlib.util.find_spec("open_clip")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("The Python package open_clip, which has the vocabulary, is not installed.")
    return _Pairs(Path(spec.submodule_search_locations[0], VOCABULARY))
