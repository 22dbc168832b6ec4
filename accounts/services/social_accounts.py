"""Accounts elsewhere that people have linked with theirs: which there are, linking one, and taking one away.

The rows are allauth's. One that was taken away stays and says so: by the address alone the next login would link it
again, also that of whoever has stolen the account elsewhere. A login with a second factor does, and one that makes a
new account.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialAccount
from django.db import transaction
from django.utils import timezone

from accounts.models import AuditAction, User
from accounts.problems import ConflictError, NotFoundError, NotPermittedError
from accounts.services import audit, tokens

if TYPE_CHECKING:
    from django.db.models import QuerySet

URLS = {"google": "https://accounts.google.com", "github": "https://github.com"}
UNLINKED = {"unlinked": True}


class LastWayInError(ConflictError):
    """Nobody could log in any more: there is no password, and no other linked account of a provider that is set up."""

    code = "last_way_in"


@dataclass(frozen=True, slots=True)
class LinkedAccount:
    """What is told of a linked account: `provider` is a URL, and `name` empty where it is not set up any more."""

    id: int
    provider: str
    name: str
    linked_at: datetime


def linked(*, user: User) -> "QuerySet[SocialAccount]":
    """Give the accounts elsewhere that a user may log in with, the oldest first."""
    return SocialAccount.objects.filter(user_id=user.pk).exclude(extra_data=UNLINKED).order_by("date_joined", "pk")


def shown(*, user: User) -> list[LinkedAccount]:
    """Tell of the accounts elsewhere that a user may log in with."""
    names = providers()
    return [
        LinkedAccount(one.pk, one.provider, names.get(one.provider, ""), one.date_joined) for one in linked(user=user)
    ]


def find(*, provider: str, uid: str) -> SocialAccount | None:
    """Give an account elsewhere with its user, whether linked or taken away; None for one that was never linked."""
    return SocialAccount.objects.filter(provider=provider, uid=uid).select_related("user").first()


def is_unlinked(account: SocialAccount) -> bool:
    """Whether it was taken away, and opens nothing."""
    return account.extra_data == UNLINKED


def providers() -> dict[str, str]:
    """Give the providers that are set up: the URLs by which linked accounts name them, and what people call them."""
    found = get_adapter().list_providers(None)
    return {URLS.get(one.id) or one.app.settings["server_url"]: one.name for one in found}


def link(*, user: User, provider: str, uid: str, new_account: bool) -> None:
    """Link an account elsewhere, as a part of the transaction that is open; one that is linked already stays so.

    Raises ConflictError where it is somebody else's by now.
    """
    rows = SocialAccount.objects.select_for_update()
    account, is_new = rows.get_or_create(provider=provider, uid=uid, defaults={"user": user})
    if not is_new and not is_unlinked(account):
        if account.user_id != user.pk:
            raise ConflictError("This account elsewhere was linked with another one at the same moment.")
        return
    if not is_new:
        account.user, account.extra_data, account.date_joined = user, {}, timezone.now()
        account.save(update_fields=["user", "extra_data", "date_joined"])
    details = {"provider": provider, "new_account": new_account}
    audit.record(action=AuditAction.SOCIAL_LINKED, actor=user, subject=user, details=details)


@transaction.atomic
def unlink(*, user: User, account_id: int) -> User:
    """Take one of one's own accounts elsewhere away. Ends all other sessions and every token; once more does nothing.

    Gives the account as it is then.

    Raises NotFoundError for what was never theirs, LastWayInError, ConflictError where all logins were ended meanwhile.
    """
    if user.acting_key is not None:
        raise NotPermittedError("An API key does not change how its owner logs in.")
    # of two who take the last two away, the second comes after all logins have ended
    locked = tokens.lock_owner(user=user)
    account = SocialAccount.objects.select_for_update().filter(pk=account_id, user=locked).first()
    if account is None:
        raise NotFoundError("No such account elsewhere is linked with yours.")
    if is_unlinked(account):
        return locked
    others = linked(user=locked).exclude(pk=account.pk).filter(provider__in=providers())
    if not locked.has_usable_password() and not others.exists():
        raise LastWayInError("You could not log in any more: this is the only way in that your account has.")
    account.extra_data = UNLINKED
    account.save(update_fields=["extra_data"])
    tokens.end_logins(locked=locked)
    audit.record(action=AuditAction.SOCIAL_UNLINKED, actor=user, subject=user, details={"provider": account.provider})
    return locked
