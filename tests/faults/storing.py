"""A store that misbehaves: the functions by which every process reaches it, wrapped, with the trouble in a file."""

import io
import json
import random
import time
from collections.abc import Callable, Container, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from faults.events import EventFile

REFUSES, TIMES_OUT, SHORT, WRONG, LOSES_REPLY = "refuses", "times_out", "short", "wrong", "loses_reply"
KINDS = (REFUSES, TIMES_OUT, SHORT, WRONG, LOSES_REPLY)
FAIL = frozenset({REFUSES, TIMES_OUT})
LOSE_REPLIES = frozenset({*FAIL, LOSES_REPLY})
SPOIL = frozenset({SHORT, WRONG})
# of a real client's 20 s: what is seen is that the wait is the store's, and that it ends
TIMEOUT_SECONDS = 3.0

_FILE = "store.json"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What the store does, to what share of the requests; `seed` decides which, of those of one worker in turn."""

    kind: str
    share: float
    seed: int = 0


class Store:
    """The harness's side: the switch."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE

    def set(self, trouble: Trouble | None) -> None:
        """Misbehave from now on, or no more."""
        if trouble is None:
            self._path.unlink(missing_ok=True)
            return
        unfinished = self._path.with_suffix(".part")
        unfinished.write_text(json.dumps(asdict(trouble)))
        unfinished.rename(self._path)


class Misbehaving:
    """The processes' side: every read and write goes through here. `worker` names the worker that asks, if any."""

    def __init__(self, folder: Path, injections: EventFile, *, worker: Callable[[], str] = str) -> None:
        self._path = folder / _FILE
        self._injections = injections
        self._worker = worker
        self._trouble: Trouble | None = None
        self._chance = random.Random()

    @contextmanager
    def operation(
        self, measured: Callable[..., AbstractContextManager[None]], *, alias: str, operation: str
    ) -> Iterator[None]:
        """Ask the store, or not, or ask it and lose its answer."""
        kind = self._strikes(LOSE_REPLIES if operation == "write" else FAIL)
        with measured(alias=alias, operation=operation):
            if kind in FAIL:
                _fail(kind, operation)
            yield
            if kind == LOSES_REPLY:
                raise ConnectionClosedError(endpoint_url="the store, by order of the harness")

    def reading(self, read: Callable[..., Any], **named: Any) -> Any:
        """Read, and give something else."""
        answer = read(**named)
        kind = self._strikes(SPOIL)
        return self._spoil(kind, answer) if kind else answer

    def _strikes(self, kinds: Container[str]) -> str:
        """Say whether one of these kinds of trouble strikes now."""
        try:
            trouble = Trouble(**json.loads(self._path.read_text()))
        except FileNotFoundError:
            return ""
        if trouble.kind not in kinds:
            return ""
        worker = self._worker()
        if trouble != self._trouble:
            self._trouble, self._chance = trouble, random.Random(f"{trouble.seed} {trouble.kind} {worker}")
        if self._chance.random() >= trouble.share:
            return ""
        self._injections.write(
            fault="storage", point=trouble.kind, stage="", worker=worker, company=0, runs=[], rung_by=[]
        )
        return trouble.kind

    def _spoil(self, kind: str, answer: Any) -> Any:
        data = answer if isinstance(answer, bytes) else answer.read()
        if kind == SHORT:
            spoiled = data[: self._chance.randrange(len(data))]
        else:
            # never the same place twice: the way to the store is bad, not what lies in it
            place = self._chance.randrange(len(data))
            spoiled = data[:place] + bytes([data[place] ^ self._chance.randrange(1, 256)]) + data[place + 1 :]
        if isinstance(answer, bytes):
            return spoiled
        answer.close()
        return io.BytesIO(spoiled)


def _fail(kind: str, operation: str) -> None:
    if kind == TIMES_OUT:
        time.sleep(TIMEOUT_SECONDS)
        raise ReadTimeoutError(endpoint_url="the store, by order of the harness")
    answer = {"Error": {"Code": "503", "Message": "SlowDown"}, "ResponseMetadata": {"HTTPStatusCode": 503}}
    raise ClientError(answer, operation)
