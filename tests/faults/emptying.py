"""Deletes every photo for good, with the runs, rows and objects of each.

python -m faults.emptying
"""

import django


def main() -> None:
    """Do it as the product does: whoever is at work on one is waited for."""
    django.setup()
    from photos.models import Photo
    from processing.services import trash

    trash.purge(photo_ids=list(Photo.objects.values_list("pk", flat=True)), also_present=True)


if __name__ == "__main__":
    main()
