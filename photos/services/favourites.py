"""Marks that people make for themselves, and how often photos are looked at."""

from collections.abc import Collection
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from accounts.models import User
from photos.models import Favourite, Photo, PhotoViews


@transaction.atomic
def mark(*, photo_ids: Collection[UUID], user: User) -> int:
    """Make photos that `user` sees favourites of theirs; gives how many were none yet."""
    visible = Photo.objects.visible_to(user).filter(pk__in=photo_ids)
    # kept until this has ended: a deletion under way is waited for
    ids = list(visible.select_for_update(no_key=True, of=("self",)).order_by("pk").values_list("pk", flat=True))
    before = Favourite.objects.filter(user=user, photo__in=ids).count()
    Favourite.objects.bulk_create([Favourite(user=user, photo_id=one) for one in ids], ignore_conflicts=True)
    return Favourite.objects.filter(user=user, photo__in=ids).count() - before


@transaction.atomic
def unmark(*, photo_ids: Collection[UUID], user: User) -> int:
    """Make photos no favourites of `user` any more; gives how many were."""
    return Favourite.objects.filter(user=user, photo__in=photo_ids).delete()[0]


@transaction.atomic
def count_view(*, photo_id: UUID) -> None:
    """Count that somebody looked at a photo."""
    seen = PhotoViews.objects.filter(pk=photo_id)
    if not seen.update(count=F("count") + 1, last_viewed_at=Now()):
        PhotoViews.objects.bulk_create(
            [PhotoViews(photo_id=photo_id, count=1, last_viewed_at=Now())],
            update_conflicts=True,
            unique_fields=["photo"],
            update_fields=["last_viewed_at"],
        )
