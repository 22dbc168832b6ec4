"""What files beside photos say of them."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, JSONField, Value
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now

from photos.models import Photo, Sidecar
from photos.services import said

PEOPLE = "people"


@transaction.atomic
def replace_sidecar(
    *,
    photo_id: UUID,
    kind: str,
    path: str,
    sha256: str,
    values: Mapping[str, object],
    is_first: bool = False,
) -> bool:
    """Put what a sidecar says in the place of what another one said before; gives whether it is there then.

    With `is_first` one that another file wrote stays. Nothing is written for a photo that is gone.
    """
    if not _keep_photo(photo_id):
        return False
    if is_first and Sidecar.objects.filter(photo_id=photo_id).exclude(path=path).exists():
        return False
    fields = {"kind": kind, "path": path, "sha256": sha256, "values": dict(values)}
    Sidecar.objects.update_or_create(photo_id=photo_id, defaults={**fields, "read_at": Now()})
    said.bring_up(photo_id=photo_id, library_id=Photo.objects.values_list("library_id", flat=True).get(pk=photo_id))
    return True


def forget_people(*, photo_ids: Sequence[UUID]) -> int:
    """Take the names of people out of what the sidecars of photos say; gives of how many photos.

    Of all on them: whose name is whose is not known there.
    """
    named = Sidecar.objects.filter(photo_id__in=photo_ids).exclude(values__people=[])
    without = CombinedExpression(F("values"), "||", Value({PEOPLE: []}, output_field=JSONField()))
    return named.update(values=without)


def _keep_photo(photo_id: UUID) -> bool:
    """Keep a photo from being deleted until this transaction has ended; False where it is gone."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM photos_photo WHERE id = %s FOR KEY SHARE", [photo_id])
        return cursor.fetchone() is not None
