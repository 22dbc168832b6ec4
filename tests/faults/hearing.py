"""Whether every worker still hears: each is rung for until it has looked for work."""

import time
from collections.abc import Container, Iterable, Sequence
from urllib.parse import urlsplit

from celery import Celery
from kombu.exceptions import OperationalError

from faults.events import Event
from faults.installation import HOST, Installation
from faults.supervisor import Managed

# of workers that work for libraries and for the installation, not on photos
LIGHT_QUEUES = "people,maintenance"
# a light task of each group of queues; one that finds nothing to do says all the same that it has looked
TASKS = {"ingest": "exif", "faces,embeddings": "face_detection", LIGHT_QUEUES: "people"}
# task -> its queue
QUEUES = {
    "exif": "ingest",
    "renditions": "ingest",
    "face_detection": "faces",
    "face_embedding": "embeddings",
    "people": "people",
}
EVERY_SECONDS = 1.0
# what is rung lies behind what others have sent, and must not become a backlog itself
RING_EVERY_SECONDS = 5.0


class Sender:
    """Sends hints past the proxy, as any process of the installation could."""

    def __init__(self, world: Installation) -> None:
        self._world = world
        address = urlsplit(world.services.redis_url)
        self._app = Celery(broker=address.geturl(), set_as_current=False)

    def ring(self, task: str, *, queue: str = "", photos: Sequence[str] = ()) -> list[str]:
        """Send a hint; gives the ids of its messages. Raises kombu's OperationalError where Redis is down."""
        sent = [
            self._app.send_task(**hint, queue=queue or QUEUES[task], retry=False, ignore_result=True)
            for hint in self._world.hints(task, photos)
        ]
        return [one.id for one in sent]

    def close(self) -> None:
        """Close its connection."""
        self._app.close()


def queues_of(worker: Managed) -> str:
    """Give the queues of a worker, with commas."""
    return worker.command[worker.command.index("-Q") + 1]


def deaf_workers(world: Installation, *, since: float, seconds: float) -> dict[str, float | None]:
    """Ring until every worker has looked for work because of it; gives how long after `since`, None for never.

    A look that belongs to another message, such as one that the worker had before, says nothing.
    """
    heard: dict[str, float | None] = {worker.name: None for worker in world.workers}
    queues = {worker.name: queues_of(worker) for worker in world.workers}
    rung: set[str] = set()
    sender = Sender(world)
    deadline, ring_at = time.monotonic() + seconds, 0.0
    try:
        while None in heard.values() and time.monotonic() < deadline:
            if time.monotonic() >= ring_at:
                for group in {queues[name] for name, at in heard.items() if at is None}:
                    rung.update(_ring(sender, TASKS[group]))
                ring_at = time.monotonic() + RING_EVERY_SECONDS
            time.sleep(EVERY_SECONDS)
            first = who_heard(world.history.read(since=since), rung)
            heard.update({name: t - since for name, t in first.items() if name in heard})
    finally:
        sender.close()
    return heard


def who_heard(history: Iterable[Event], rung: Container[str]) -> dict[str, float]:
    """Give the time (monotonic) at which each worker first looked for work because of one of these messages."""
    heard: dict[str, float] = {}
    for event in history:
        if event["kind"] == "claim" and event["task"] in rung:
            heard.setdefault(event["worker"].removesuffix(f"@{HOST}"), event["t"])
    return heard


def _ring(sender: Sender, task: str) -> list[str]:
    rung: list[str] = []
    # as many as there are workers of the group: each has one process
    for _ in range(2):
        try:
            rung += sender.ring(task)
        except OperationalError:
            break  # it will be rung again
    return rung
