"""Those who want the same thing at the same moment."""

import hashlib
import json
import random
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any, ClassVar

import requests

from faults.fault import Fault, Injected, Judgement
from faults.installation import Installation
from faults.pictures import Picture
from faults.purging import BUSY
from faults.together import together

CLAIMERS = 32
TIMEOUT_SECONDS = 60.0
# each waits for some seconds
PURGE_ATTEMPTS = 10
STEP_SECONDS = 0.03
JITTER_SECONDS = 0.02
# about as long as a request to move something to the trash takes
TRASH_SECONDS = 0.1
UPLOADS = 2


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
    """A photo goes to the trash, is deleted for good, and the same bytes are uploaded, at once."""

    name = "trash_race"
    title = "trash, purge and re-upload of the same bytes racing each other"
    criterion = "every upload is answered 200 or 201, and whoever uploads after the trash finds the photo there, whole"
    times = 60
    per_picture: ClassVar[int] = 6

    def inject(self, world: Installation, chance: random.Random, *, times: int) -> int:
        """Upload, throw away, and race: every other time throwing away races as well."""
        self.restored = self.made_anew = self.overlapping = 0
        self.wrong: list[str] = []
        purgers = [Purger(world) for _ in range(2)]
        try:
            for picture in islice(world.pictures, max(1, times // self.per_picture)):
                photo = world.uploader.upload(picture)
                for number in range(self.per_picture):
                    photo = self._race(world, picture, photo, purgers, chance, is_trash_racing=bool(number % 2))
        finally:
            for purger in purgers:
                purger.close()
        return times

    def judge(self, world: Installation, injected: Injected) -> Judgement:
        """See that both ways to win were met; whether the photos are whole, `prove` says."""
        return Judgement(
            passed=bool(self.restored) and bool(self.made_anew) and bool(self.overlapping) and not self.wrong,
            figure=f"{self.restored} times the upload was first and the photo came back, {self.made_anew} times the "
            f"purge was and the photo was made anew; {self.overlapping} times an upload was under way while it was "
            f"moved to the trash; {len(self.wrong)} wrong answers",
            remarks=self.wrong,
        )

    def _race(
        self,
        world: Installation,
        picture: Picture,
        photo: str,
        purgers: list[Purger],
        chance: random.Random,
        *,
        is_trash_racing: bool,
    ) -> str:
        """Race for one photo; gives the id under which the bytes are there afterwards."""
        # whoever has won more often starts a little later: which of them is the quicker, the machine decides
        lead = self.made_anew - self.restored
        trash = partial(_move_to_trash, world, photo)
        if not is_trash_racing:
            trash()
        jitter = TRASH_SECONDS if is_trash_racing else JITTER_SECONDS
        purge_at, upload_at = (STEP_SECONDS * max(0, one) for one in (lead, -lead))
        works = [(purge_at, partial(one.purge, photo)) for one in purgers]
        works += [(upload_at, partial(world.uploader.upload, picture))] * UPLOADS
        outcomes = together(
            *([trash] if is_trash_racing else []),
            *(partial(_later, at + chance.uniform(0, jitter), work) for at, work in works),
        )
        self.wrong += [f"{type(one.error).__name__}: {one.error}" for one in outcomes if one.error]
        purges, uploads = (
            [one.result for one in some if one.error is None]
            for some in (outcomes[-UPLOADS - len(purgers) : -UPLOADS], outcomes[-UPLOADS:])
        )
        trashed_at = outcomes[0].ended if is_trash_racing else 0.0
        self.overlapping += any(asked_at < trashed_at for asked_at, _ in uploads)
        late = [answer for asked_at, answer in uploads if asked_at >= trashed_at]
        # the last word is an upload's: what came before the trash is no promise any more
        now = late[-1] if late else world.uploader.upload(picture)
        answers = [answer for _, answer in uploads]
        self._check(world, picture, photo, now, answers, late, is_purged=any(count for _, count in purges))
        if now == photo:
            self.restored += 1
        else:
            self.made_anew += 1
            digest = hashlib.sha256(picture.data).hexdigest()
            world.acknowledged.add(photo=photo, sha256=digest, library=world.library, is_deleted=True)
        return now or photo

    def _check(
        self,
        world: Installation,
        picture: Picture,
        photo: str,
        now: str | None,
        answers: list[str | None],
        late: list[str | None],
        *,
        is_purged: bool,
    ) -> None:
        """Note what contradicts itself: `late` are the answers to those who asked when the photo was in the trash."""
        if None in answers or now is None or set(answers) - {photo, now} or set(late) - {now}:
            self.wrong.append(f"uploads of the bytes of {photo} were given {answers}, and it is {now} now")
        if is_purged == (now == photo):
            self.wrong.append(f"{photo} was {'purged' if is_purged else 'not purged'}, and it is {now} now")
        rows = world.database.rows(
            "SELECT id::text, trashed_at FROM photos_photo WHERE library_id = %s AND sha256 = %s",
            world.library,
            hashlib.sha256(picture.data).hexdigest(),
        )
        if rows != [(now, None)]:
            self.wrong.append(f"the bytes of {photo} should be there once, as {now}, and are there as {rows}")


def _later(seconds: float, work: Callable[[], Any]) -> tuple[float, Any]:
    """Do it after a while; gives when it was begun (monotonic), and its result."""
    time.sleep(seconds)
    return time.monotonic(), work()


def _move_to_trash(world: Installation, photo: str) -> None:
    headers = world.uploader.client.authorization()
    answer = requests.delete(f"{world.url}/api/v1/photos/{photo}", headers=headers, timeout=TIMEOUT_SECONDS)
    answer.raise_for_status()
