"""Those who want the same thing at the same moment."""

import hashlib
import json
import random
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import ClassVar

import requests

from faults.fault import Fault, Injected, Judgement
from faults.installation import Installation
from faults.pictures import Picture
from faults.purging import BUSY

CLAIMERS = 32
TIMEOUT_SECONDS = 60.0
# each waits for some seconds
PURGE_ATTEMPTS = 10
STEP_SECONDS = 0.03


class ClaimRace(Fault):
    """Claimers that are let loose on one run together."""

    name = "claim_race"
    title = f"{CLAIMERS} claimers race for one run"
    criterion = "exactly one wins and commits, in every round"
    times = 1000

    def inject(self, world: Installation, chance: random.Random, *, times: int) -> int:
        """Race in a process of the installation's own, a database session for each."""
        done = world.manage("-m", "faults.claim_race", str(times), str(CLAIMERS), FAULTS_PIPELINE="bare")
        if done.returncode != 0:
            raise RuntimeError(done.stderr[-2000:])
        self.said = json.loads(done.stdout)
        return times

    def judge(self, world: Installation, injected: Injected) -> Judgement:
        """Look at what was counted."""
        expected = {"1": injected.times}
        return Judgement(
            passed=self.said == {"winners": expected, "commits": expected},
            figure=f"rounds by number of winners: {self.said['winners']}, by number of commits: {self.said['commits']}",
        )


class Purger:
    """A process of the installation's own that purges on demand."""

    def __init__(self, world: Installation) -> None:
        self._process = world.talk("-m", "faults.purging")
        self._answer()
        self._lock = threading.Lock()

    def purge(self, photo: str) -> bool:
        """Delete a photo for good, if it lies in the trash at that moment; tells whether it did."""
        for _ in range(PURGE_ATTEMPTS):
            with self._lock:
                self._process.stdin.write(f"{photo}\n")
                self._process.stdin.flush()
                answer = self._answer()
            if answer != BUSY:
                return answer == "1"
        raise TimeoutError(f"{photo} was in use each time that it should be deleted")

    def close(self) -> None:
        """End it."""
        self._process.stdin.close()
        self._process.wait(TIMEOUT_SECONDS)

    def _answer(self) -> str:
        return self._process.stdout.readline().strip()


class TrashRace(Fault):
    """A photo in the trash is deleted for good, and the same bytes are uploaded, at once."""

    name = "trash_race"
    title = "trash, purge and re-upload of the same bytes racing each other"
    criterion = "every upload that was answered 200 or 201 finds its photo there, whole"
    times = 60
    per_picture: ClassVar[int] = 6

    def inject(self, world: Installation, chance: random.Random, *, times: int) -> int:
        """Upload, throw away, and race."""
        self.restored = self.made_anew = 0
        self.wrong: list[str] = []
        purgers = [Purger(world) for _ in range(2)]
        for picture in islice(world.pictures, max(1, times // self.per_picture)):
            photo = world.uploader.upload(picture)
            for _ in range(self.per_picture):
                _move_to_trash(world, photo)
                photo = self._race(world, picture, photo, purgers, chance)
        for purger in purgers:
            purger.close()
        return times

    def judge(self, world: Installation, injected: Injected) -> Judgement:
        """See that both ways to win were met; whether the photos are there, `prove` says."""
        return Judgement(
            passed=bool(self.restored) and bool(self.made_anew) and not self.wrong,
            figure=f"{self.restored} times the upload was first and the photo came back, {self.made_anew} times the "
            f"purge was and the photo was made anew; {len(self.wrong)} wrong answers",
            remarks=self.wrong,
        )

    def _race(
        self, world: Installation, picture: Picture, photo: str, purgers: list[Purger], chance: random.Random
    ) -> str:
        found: list[str | None] = []
        purged: list[bool] = []
        # whoever has won more often starts a little later: which of them is the quicker, the machine decides
        lead = self.made_anew - self.restored
        purge_at, upload_at = (STEP_SECONDS * max(0, one) for one in (lead, -lead))
        work = [
            partial(_later, purge_at + chance.uniform(0, 0.02), lambda one=one: purged.append(one.purge(photo)))
            for one in purgers
        ]
        work += [
            partial(_later, upload_at + chance.uniform(0, 0.02), lambda: found.append(world.uploader.upload(picture)))
            for _ in range(2)
        ]
        threads = [threading.Thread(target=one) for one in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        [now] = set(found) if len(set(found)) == 1 else [found[-1]]
        if len(set(found)) != 1 or now is None:
            self.wrong.append(f"two uploads of the same bytes were given {found}")
        if any(purged) == (now == photo):
            self.wrong.append(
                f"{photo} was {'purged' if any(purged) else 'not purged'}, and the upload was given {now}"
            )
        if now == photo:
            self.restored += 1
        else:
            self.made_anew += 1
            digest = hashlib.sha256(picture.data).hexdigest()
            world.acknowledged.add(photo=photo, sha256=digest, library=world.library, is_deleted=True)
        return now or photo


def _later(seconds: float, work: Callable[[], object]) -> None:
    time.sleep(seconds)
    work()


def _move_to_trash(world: Installation, photo: str) -> None:
    headers = world.uploader.client.authorization()
    answer = requests.delete(f"{world.url}/api/v1/photos/{photo}", headers=headers, timeout=TIMEOUT_SECONDS)
    answer.raise_for_status()
