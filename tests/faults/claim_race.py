"""Many claimers race for one run, round after round. Prints how many rounds had how many winners and commits.

python -m faults.claim_race ROUNDS CLAIMERS
"""

import json
import sys
import threading
from collections import Counter

import django

STAGE = "race"


def main(rounds: int, claimers: int) -> None:
    """Race on a run of a stage that no worker knows, of a photo that is there."""
    django.setup()
    from django.db import connection
    from django.db.models.functions import Now

    from photos.models import Photo
    from processing import ledger
    from processing.models import StageRun

    run = StageRun.objects.create(
        photo=Photo.objects.first(), stage=STAGE, version="1", state="pending", queued_at=Now()
    )
    start, end = threading.Barrier(claimers + 1), threading.Barrier(claimers + 1)
    won: list[int] = []

    def race(number: int) -> None:
        try:
            for _ in range(rounds):
                start.wait()
                leases = ledger.claim(stage=STAGE, versions=["1"], limit=1, task_id=str(number), worker="race")
                for lease in leases:
                    ledger.mark_done(lease, work_seconds=0)
                    won.append(number)
                end.wait()
        finally:
            connection.close()

    threads = [threading.Thread(target=race, args=(number,), daemon=True) for number in range(claimers)]
    for thread in threads:
        thread.start()
    winners: Counter[int] = Counter()
    commits: Counter[int] = Counter()
    for _ in range(rounds):
        StageRun.objects.filter(pk=run.pk).update(
            state="pending", queued_at=Now(), finished_at=None, attempt=0, commits=0
        )
        won.clear()
        start.wait()
        end.wait()
        winners[len(won)] += 1
        commits[StageRun.objects.get(pk=run.pk).commits] += 1
    StageRun.objects.filter(pk=run.pk).delete()
    sys.stdout.write(json.dumps({"winners": winners, "commits": commits}) + "\n")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
