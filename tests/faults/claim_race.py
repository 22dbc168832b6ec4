"""Many claimers race for one run, round after round. Prints how many rounds had how many winners and commits.

python -m faults.claim_race ROUNDS CLAIMERS
"""

import json
import sys
import threading
from collections import Counter
from collections.abc import Callable

import django

STAGE = "race"
# of one round; longer than any machine needs for it
ROUND_SECONDS = 60.0


def main(rounds: int, claimers: int) -> None:
    """Race on a run of a stage that no worker knows, of a photo that is there."""
    django.setup()
    from django.db.models.functions import Now

    from photos.models import Photo
    from processing.models import StageRun

    run = StageRun.objects.create(
        photo=Photo.objects.first(), stage=STAGE, version="1", state="pending", queued_at=Now()
    )

    def prepare() -> None:
        StageRun.objects.filter(pk=run.pk).update(
            state="pending", queued_at=Now(), finished_at=None, attempt=0, commits=0
        )

    try:
        winners, commits = _race(
            rounds, claimers, prepare=prepare, commits_of=lambda: StageRun.objects.get(pk=run.pk).commits
        )
    finally:
        StageRun.objects.filter(pk=run.pk).delete()
    sys.stdout.write(json.dumps({"winners": winners, "commits": commits}) + "\n")


def _race(
    rounds: int, claimers: int, *, prepare: Callable[[], None], commits_of: Callable[[], int]
) -> tuple[Counter[int], Counter[int]]:
    """Let claimers loose together, round after round; gives how many rounds had how many winners, and commits.

    Raises the first claimer's error, or threading.BrokenBarrierError where a round does not end.
    """
    from django.db import connection

    from processing import ledger

    start, end = (threading.Barrier(claimers + 1, timeout=ROUND_SECONDS) for _ in range(2))
    won: list[int] = []
    errors: list[BaseException] = []

    def race(number: int) -> None:
        try:
            for _ in range(rounds):
                start.wait()
                leases = ledger.claim(stage=STAGE, versions=["1"], limit=1, task_id=str(number), worker="race")
                # before the commit: of two winners one is refused there, and has won all the same
                won.extend([number] * len(leases))
                for lease in leases:
                    _commit(lease)
                end.wait()
        except threading.BrokenBarrierError:
            return  # somebody else's error has ended the race
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread that waits
            errors.append(error)
            start.abort()
            end.abort()
        finally:
            connection.close()

    for number in range(claimers):
        threading.Thread(target=race, args=(number,), daemon=True).start()
    winners: Counter[int] = Counter()
    commits: Counter[int] = Counter()
    for _ in range(rounds):
        prepare()
        won.clear()
        try:
            start.wait()
            end.wait()
        except threading.BrokenBarrierError:
            if errors:
                raise errors[0] from None
            raise
        winners[len(won)] += 1
        commits[commits_of()] += 1
    return winners, commits


def _commit(lease: object) -> None:
    from processing import ledger

    try:
        ledger.mark_done(lease, work_seconds=0)
    except ledger.LeaseLostError:
        # another has claimed the same run meanwhile: the count of winners says so
        sys.stderr.write("a commit was refused\n")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
