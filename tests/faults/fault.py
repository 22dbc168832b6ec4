"""What a fault is, and what came of one."""

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from faults.events import Event
from faults.installation import Installation


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a fault's own criterion says, beyond the five zeros. `recoveries` are seconds, one for each loss."""

    passed: bool
    figure: str
    recoveries: Sequence[float] = ()
    remarks: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Injected:
    """What was done while one fault was on: its window (monotonic), its photos, how often it struck."""

    since: float
    until: float
    times: int
    photos: Sequence[str]
    events: Sequence[Event] = field(default_factory=list)


class Fault(ABC):
    """One row of the table.

    A fault is run by itself: its photos are uploaded while `inject` strikes, `heal` puts right what
    must be, everything settles, and `judge` says whether its own criterion holds. `prove` decides about the rest.
    """

    # as FAULTS= takes it
    name: ClassVar[str]
    title: ClassVar[str]
    criterion: ClassVar[str]
    # photos that come by themselves: so many at the start in a full run, and so many a second while it strikes
    photos: ClassVar[int] = 0
    per_second: ClassVar[float] = 0.0
    # how often it strikes in a full run, and at least
    times: ClassVar[int] = 10
    least: ClassVar[int] = 1
    settle_seconds: ClassVar[float] = 300.0
    # whether an upload may be answered with trouble of the server's, and has to be made again
    may_refuse_uploads: ClassVar[bool] = False
    # whether dead letters are what it is about
    makes_dead: ClassVar[bool] = False

    @abstractmethod
    def inject(self, world: Installation, chance: random.Random, *, times: int) -> int:
        """Strike; gives how often. Photos are being uploaded meanwhile."""

    def obstacle(self, world: Installation) -> str:
        """Say why this fault cannot be done on this machine; empty where it can."""
        return ""

    def prepare(self, world: Installation) -> None:  # noqa: B027 - most have nothing to prepare
        """Make ready, before any photo comes."""

    def heal(self, world: Installation) -> None:  # noqa: B027 - most are over by themselves
        """Put right what the fault left behind."""

    @abstractmethod
    def judge(self, world: Installation, injected: Injected) -> Judgement:
        """Measure what came of it, when everything has settled."""
