"""Deleting accounts."""

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction

from accounts.models import User
from accounts.services import members


@transaction.atomic
def delete_accounts(*, user_ids: Iterable[UUID], by: User | None) -> int:
    """Delete accounts and their memberships, all or none of them; gives how many were there.

    Raises LastAdminError where a library would be left without an admin. Who may delete whom is the caller's to know.
    """
    users = list(User.objects.filter(pk__in=list(user_ids)).order_by("pk"))
    for user in users:
        members.remove_from_all(user=user, by=by)
        user.delete()
    return len(users)
