"""What a proof has looked at, and what it has found in order though it is not finished."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """`explained` counts open runs by what explains them; `outdated` the runs whose results are an older version's."""

    photos: int = 0
    runs: int = 0
    objects: int = 0
    bytes_read: int = 0
    dead: int = 0
    outdated: int = 0
    acknowledged: int = 0
    explained: Counter[str] = field(default_factory=Counter)
