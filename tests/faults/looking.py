"""Looks for work of some stages again and again where there is none. Prints how long each look took, in seconds.

python -m faults.looking STAGE... LOOKS
"""

import json
import sys
import time

import django


def main(stages: list[str], looks: int) -> None:
    """Look as a worker does. Raises RuntimeError where there was something to do."""
    django.setup()
    from processing.pipeline import working

    times = []
    for stage in stages * looks:
        started = time.monotonic()
        if working.work(stage_name=stage, task_id="looking", worker="looking"):
            raise RuntimeError(f"{stage} was not idle: its run was worked on here")
        times.append(time.monotonic() - started)
    # the first one of each opens files and connections
    sys.stdout.write(json.dumps(times[len(stages) :]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:-1], int(sys.argv[-1]))
