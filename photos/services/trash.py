"""The trash: a photo in it is invisible and can be brought back."""

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from photos.models import Photo


@transaction.atomic
def move_to_trash(*, photo_ids: Iterable[UUID]) -> int:
    """Move photos to the trash; gives how many were not there yet."""
    return Photo.objects.filter(pk__in=list(photo_ids), trashed_at__isnull=True).update(trashed_at=Now())


@transaction.atomic
def restore(*, photo_ids: Iterable[UUID]) -> list[UUID]:
    """Bring photos back from the trash; gives those that were there.

    One that is being deleted for good is waited for, and is then not among them.
    """
    there = Photo.objects.filter(pk__in=list(photo_ids), trashed_at__isnull=False)
    restored = list(there.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))
    Photo.objects.filter(pk__in=restored).update(trashed_at=None)
    return restored
