"""The trash: a photo in it is invisible and can be brought back."""

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from photos.models import EventKind, Photo
from photos.services import events


@transaction.atomic
def move_to_trash(*, photo_ids: Iterable[UUID]) -> int:
    """Move photos to the trash; gives how many were not there yet."""
    present = Photo.objects.present().filter(pk__in=list(photo_ids)).select_for_update(no_key=True).order_by("pk")
    moved = dict(present.values_list("pk", "library_id"))
    Photo.objects.filter(pk__in=moved).update(trashed_at=Now())
    events.record_photos(kind=EventKind.PHOTO_TRASHED, photos=moved)
    return len(moved)


@transaction.atomic
def restore(*, photo_ids: Iterable[UUID]) -> list[UUID]:
    """Bring photos back from the trash; gives those that were there.

    One that is being deleted for good is waited for, and is then not among them.
    """
    there = Photo.objects.filter(pk__in=list(photo_ids), trashed_at__isnull=False)
    restored = dict(there.select_for_update(no_key=True).order_by("pk").values_list("pk", "library_id"))
    Photo.objects.filter(pk__in=restored).update(trashed_at=None)
    events.record_photos(kind=EventKind.PHOTO_RESTORED, photos=restored)
    return list(restored)
