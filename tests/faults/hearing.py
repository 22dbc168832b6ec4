"""Whether every worker still hears: each is rung for until it has looked for work."""

import time
from urllib.parse import urlsplit

from celery import Celery
from kombu.exceptions import OperationalError

from faults.installation import HOST, Installation

# a light task of each group of queues; one that finds nothing to do says all the same that it has looked
TASKS = {"ingest": "exif", "faces,embeddings": "face_detection", "people,maintenance": "people"}
QUEUES = {"exif": "ingest", "face_detection": "faces", "people": "people"}
EVERY_SECONDS = 1.0


class Sender:
    """Sends hints past the proxy, as any process of the installation could."""

    def __init__(self, world: Installation) -> None:
        address = urlsplit(world.services.redis_url)
        self._app = Celery(broker=address.geturl(), set_as_current=False)

    def ring(self, task: str, *, queue: str = "", photos: list[str] | None = None) -> None:
        """Send one hint. Raises kombu's OperationalError where Redis is down."""
        hint = {"v": 1, "ids": photos or []}
        self._app.send_task(task, queue=queue or QUEUES[task], kwargs=hint, retry=False, ignore_result=True)

    def close(self) -> None:
        """Close its connection."""
        self._app.close()


def deaf_workers(world: Installation, *, since: float, seconds: float) -> dict[str, float | None]:
    """Ring until every worker has looked for work after `since`; gives how long after it each did, None for never."""
    heard: dict[str, float | None] = {worker.name: None for worker in world.workers}
    queues = {worker.name: worker.command[worker.command.index("-Q") + 1] for worker in world.workers}
    sender = Sender(world)
    deadline = time.monotonic() + seconds
    try:
        while None in heard.values() and time.monotonic() < deadline:
            silent = {queues[name] for name, at in heard.items() if at is None}
            for group in silent:
                _ring(sender, TASKS[group])
            time.sleep(EVERY_SECONDS)
            for event in world.history.read(since=since, kind="claim"):
                name = event["worker"].removesuffix(f"@{HOST}")
                if heard.get(name, 0.0) is None:
                    heard[name] = event["t"] - since
    finally:
        sender.close()
    return heard


def _ring(sender: Sender, task: str) -> None:
    # as many as there are workers of the group: each has one process
    for _ in range(2):
        try:
            sender.ring(task)
        except OperationalError:
            return  # it will be rung again
