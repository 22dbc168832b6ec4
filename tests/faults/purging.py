"""A process that deletes photos in the trash for good, as the beat does: ids come line by line, counts go back.

python -m faults.purging
"""

import sys

import django

BUSY = "busy"


def main() -> None:
    """Purge what is asked for, until nobody asks any more."""
    django.setup()
    from accounts.problems import ConflictError
    from processing.services import trash

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        try:
            answer = str(trash.purge(photo_ids=[line.strip()]))
        except ConflictError:
            answer = BUSY  # a stage is about to commit: the beat would come again
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
