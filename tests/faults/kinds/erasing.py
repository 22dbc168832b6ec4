"""Photos that are deleted, and face analysis that is switched off, while a stage is at work on them."""

import random
import time
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import requests

from accounts import consent_text
from faults import orders
from faults.events import Event
from faults.fault import Fault, Injected, Judgement
from faults.installation import EMAIL, Installation
from faults.kinds.races import Purger
from faults.measures import percentile, seconds
from faults.ordered import COMPUTING
from faults.orders import Order

ERASED_SECONDS = 60.0
# longer than it takes to delete beside it, shorter than the lease
AT_WORK_SECONDS = 4.0
TIMEOUT_SECONDS = 60.0
PLACES = tuple((point, stage) for stage in COMPUTING for point in ("after_read", "after_store", "before_commit"))
FACE_PLACES = tuple(place for place in PLACES if place[1] in {"face_detection", "face_embedding"})
_LEFT = """
    SELECT (SELECT count(*) FROM photos_photo WHERE id = %s)
         + (SELECT count(*) FROM photos_metadata WHERE photo_id = %s)
         + (SELECT count(*) FROM photos_rendition WHERE photo_id = %s)
         + (SELECT count(*) FROM photos_face WHERE photo_id = %s)
         + (SELECT count(*) FROM processing_stagerun WHERE photo_id = %s)
         + (SELECT count(*) FROM photos_faceembedding WHERE face_id = ANY(%s::uuid[]))
"""
_FACES_LEFT = """
    SELECT (SELECT count(*) FROM photos_face AS face JOIN photos_photo AS photo ON photo.id = face.photo_id
            WHERE photo.library_id = %s)
         + (SELECT count(*) FROM photos_faceembedding WHERE library_id = %s)
         + (SELECT count(*) FROM photos_person WHERE library_id = %s)
"""


class _Erase(Fault):
    """Somebody is held at a point of a stage, and what it works on is taken away."""

    times = 12
    places: ClassVar[tuple[tuple[str, str], ...]]

    def inject(self, world: Installation, chance: random.Random, *, times: int) -> int:
        """Hold somebody at each point in turn."""
        self.waits: list[float | None] = []
        self.missed: list[tuple[str, str]] = []
        places = list(self.places)
        chance.shuffle(places)
        struck = 0
        for number in range(times):
            point, stage = places[number % len(places)]
            since = time.monotonic()
            order = Order(fault=self.name, point=point, stage=stage, action=orders.SLEEP, seconds=AT_WORK_SECONDS)
            name = world.orders.arm(order)
            for _ in range(6):
                self.feed(world, 2)
                patience = time.monotonic() + 10
                while world.orders.armed([name]) and time.monotonic() < patience:
                    time.sleep(0.02)
                if not world.orders.armed([name]):
                    break
            world.orders.disarm()
            events = world.injections.read(since=since)
            if events:
                struck += 1
                self.take_away(world, events[-1])
            else:
                self.missed.append((point, stage))
        return struck

    def feed(self, world: Installation, count: int) -> None:
        """Upload some photos that may be taken away."""
        world.feed(count)

    @abstractmethod
    def take_away(self, world: Installation, held: Event) -> None:
        """Take away what this process works on; wait until nothing is left of it."""

    def await_nothing(
        self,
        world: Installation,
        sql: str,
        values: Sequence[object],
        *,
        held: Event,
        since: float,
        prefixes: Sequence[Path],
        pattern: str = "*",
    ) -> None:
        """Wait until a query counts nothing and no such object lies in the folders; notes how long after `since`.

        Whoever was held must have done with it by then: what he had in hand he writes when he goes on.
        """
        while time.monotonic() - since < world.patience(2 * ERASED_SECONDS):
            is_over = has_gone_on(held, world.history.read(since=held["t"]))
            is_gone = not world.database.number(sql, *values)
            if is_over and is_gone and not any(_lies_in(prefix, pattern) for prefix in prefixes):
                self.waits.append(time.monotonic() - since)
                return
            time.sleep(0.3)
        self.waits.append(None)

    def judge(self, world: Installation, injected: Injected) -> Judgement:
        """See that all was gone in time."""
        late = [one for one in self.waits if one is None or one > ERASED_SECONDS]
        times = [one for one in self.waits if one is not None]
        missed = ", ".join(f"{stage} {point}" for point, stage in self.missed) or "none"
        return Judgement(
            passed=bool(times) and not late,
            figure=f"{len(self.waits)} times, gone, and whoever was at work with it done, after "
            f"{seconds(percentile(times, 1.0))} at most, {len(late)} times not within {ERASED_SECONDS:.0f} s; "
            f"places missed: {missed}",
            recoveries=times,
        )


def has_gone_on(held: Event, history: Sequence[Event]) -> bool:
    """Tell whether a process that was held has come to the end of what it had in hand: it has looked for more."""
    return any(
        event["pid"] == held["pid"] and event["t"] > held["t"] and event["kind"] in {"claim", "look"}
        for event in history
    )


class DeletedMeanwhile(_Erase):
    """The photo itself, for good."""

    name = "deleted_meanwhile"
    title = "a photo deleted for good while each stage works on it"
    criterion = "within 60 s whoever was at work has done, and no row, vector, chip or other object is left"
    places = PLACES

    def prepare(self, world: Installation) -> None:
        """Start who purges."""
        self.purger = Purger(world)

    def heal(self, world: Installation) -> None:
        """End who purges."""
        self.purger.close()

    def take_away(self, world: Installation, held: Event) -> None:
        """Move it to the trash and purge it."""
        photo = _photo_of(held)
        headers = world.uploader.client.authorization()
        requests.delete(
            f"{world.url}/api/v1/photos/{photo}", headers=headers, timeout=TIMEOUT_SECONDS
        ).raise_for_status()
        [(digest,)] = world.database.rows("SELECT sha256 FROM photos_photo WHERE id = %s", photo)
        faces = [face for (face,) in world.database.rows("SELECT id::text FROM photos_face WHERE photo_id = %s", photo)]
        since = time.monotonic()
        self.purger.purge(photo)
        world.acknowledged.add(photo=photo, sha256=digest, library=world.library, is_deleted=True)
        original, derived = (world.store_folder / name / world.library / photo for name in ("originals", "renditions"))
        values = [*[photo] * 5, faces]
        self.await_nothing(world, _LEFT, values, held=held, since=since, prefixes=[original, derived])


class SwitchedOff(_Erase):
    """Face analysis of the whole library, and on again afterwards."""

    name = "switched_off"
    title = "face analysis switched off while detection and embedding work"
    criterion = "within 60 s whoever was at work has done, and no face, chip, vector or person is left"
    places = FACE_PLACES
    times = 6

    def prepare(self, world: Installation) -> None:
        """Make a library of its own: in the others all faces would have to be found anew, each time."""
        self.library = world.run("-m", "faults.library", EMAIL, self.name).split()[-1]

    def feed(self, world: Installation, count: int) -> None:
        """Upload into that library."""
        world.feed(count, library=self.library)

    def take_away(self, world: Installation, held: Event) -> None:
        """Switch it off, wait, and switch it on again."""
        chips = world.store_folder / "renditions" / self.library
        since = time.monotonic()
        _switch(world, self.library, enabled=False)
        try:
            self.await_nothing(
                world,
                _FACES_LEFT,
                [self.library] * 3,
                held=held,
                since=since,
                prefixes=[chips],
                pattern="*/face.*",
            )
        finally:
            _switch(world, self.library, enabled=True)
        world.database.wait_until_settled(seconds=120)


def _photo_of(event: Event) -> str:
    """Name the photo that is being worked on; where nothing is claimed, the one that the message names."""
    return event["runs"][0]["subject"] if event["runs"] else event["rung_by"][0]


def _switch(world: Installation, library: str, *, enabled: bool) -> None:
    answer = requests.post(
        f"{world.url}/api/v1/libraries/{library}/face-analysis",
        json={"enabled": enabled, "consent_version": consent_text.VERSION if enabled else ""},
        headers=world.uploader.client.authorization(),
        timeout=TIMEOUT_SECONDS,
    )
    answer.raise_for_status()


def _lies_in(path: Path, pattern: str) -> bool:
    return path.is_file() or any(path.glob(pattern))
