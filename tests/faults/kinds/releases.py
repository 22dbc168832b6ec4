"""Old and new code side by side: versions and tasks that half of the processes do not know."""

import random
import time
from contextlib import closing

from faults.fault import Fault, Injected, Judgement
from faults.hearing import Sender
from faults.installation import Installation

# shapes the renditions, so it makes another version of their stage, as new code would
NEWER = {"RENDITION_QUALITY": "81"}
# several sweeps of the old release's reconciler, each of which could plan the rows its own way
SWEEPS = 3


class MixedReleases(Fault):
    """A server of a newer release plans what no worker knows; later there is one that does; then all is rolled back."""

    name = "mixed_releases"
    title = "old and new code side by side; messages of unknown tasks and versions"
    criterion = "rows wait for a worker that knows them, are done by it, and are redone after the way back"
    times = 20

    def inject(self, world: Installation, chance: random.Random, *, times: int) -> int:
        """Upload through the newer server, wait, start the newer worker, and roll back."""
        with closing(Sender(world)) as sender:
            for number in range(times):
                queue = chance.choice(("ingest", "faces", "people", "maintenance"))
                sender.ring("a_stage_of_tomorrow" if number % 2 else "exif", queue=queue, photos=["not an id"])
        with world.second_server(**NEWER) as url:
            self.photos = world.feed(6, url=url)
            time.sleep(SWEEPS * world.timing.sweep + 5)
            self.waiting = self._states(world)
            world.launch_worker("ingest3", "ingest", **NEWER)
            try:
                world.wait_for_workers()
                world.database.wait_until_settled(seconds=120)
                self.done = self._states(world)
            finally:
                world.supervisor.remove("ingest3")
        world.run("manage.py", "reprocess", "--missing", "--yes")
        return times

    def judge(self, world: Installation, injected: Injected) -> Judgement:
        """Look at the renditions' runs: before the newer worker, with it, and after the way back."""
        count = len(self.photos)
        after = self._states(world)
        return Judgement(
            passed=self.waiting == {"pending": count}
            and self.done == {"done": count}
            and after.get("done") == 2 * count,
            figure=f"renditions' runs of {count} photos: without a worker that knows them {self.waiting}, with it "
            f"{self.done}, both releases' after the way back {after}",
        )

    def _states(self, world: Installation) -> dict[str, int]:
        rows = world.database.rows(
            "SELECT state, count(*) FROM processing_stagerun WHERE stage = 'renditions' AND photo_id = ANY(%s::uuid[]) "
            "GROUP BY state",
            self.photos,
        )
        return dict(rows)
