"""Accounts of people: their names, and whether they open anything."""

from collections.abc import Iterable
from typing import TypedDict

from django.db import transaction
from django.db.models.functions import Now

from accounts import lockout
from accounts.models import AuditAction, Library, User
from accounts.problems import ConflictError, NotFoundError, NotPermittedError
from accounts.services import audit, tokens

GONE = "This account is gone."


@transaction.atomic
def rename(*, user: User, name: str) -> User:
    """Change what somebody is called, by themselves; gives the account as it is now.

    Raises NotPermittedError for an API key, NotFoundError for an account that is gone.
    """
    if user.acting_key is not None:
        raise NotPermittedError("An API key does not change its owner's account.")
    locked = lock(user=user)
    locked.name = name
    locked.full_clean()
    locked.save(update_fields=["name"])
    return locked


class AccountChanges(TypedDict, total=False):
    """What a superuser may change of an account; what is missing stays."""

    email: str
    name: str
    is_staff: bool
    is_superuser: bool
    quota_bytes: int | None


@transaction.atomic
def change(*, user: User, changes: AccountChanges, actor: User, also: Iterable[str] = ()) -> User:
    """Change an account, and tell the trail what of it, and what rights it has; gives it as it is then.

    `also` names what the caller writes besides, in the same transaction. Raises NotPermittedError unless `actor` runs
    the installation, NotFoundError, ConflictError for who would stop running it, ValidationError.
    """
    locked = lock_for_superuser(user=user, actor=actor)
    if locked.pk == actor.pk and changes.get("is_superuser") is False:
        raise ConflictError("Nobody takes it from themselves to run the installation: another superuser does.")
    for name, value in changes.items():
        setattr(locked, name, value)
    locked.full_clean()
    locked.save(update_fields=[*changes])
    rights = {name: value for name, value in changes.items() if name in ("is_staff", "is_superuser")}
    details = {"changed": sorted({*changes, *also}), **rights}
    audit.record(action=AuditAction.USER_CHANGED, actor=actor, subject=locked, details=details)
    return locked


@transaction.atomic
def deactivate(*, user: User, actor: User) -> list[Library]:
    """Close an account: its sessions, tokens, links and API keys are worth nothing from the commit on, for ever.

    Its memberships stay, so that reactivating it gives them back. One that is closed stays as it is. Gives the
    libraries that it leaves without an active admin: an account in wrong hands is closed before others are found.
    Raises NotPermittedError unless `actor` runs the installation, ConflictError for one's own account.
    """
    locked = lock_for_superuser(user=user, actor=actor)
    if locked.pk == actor.pk:
        raise ConflictError("Nobody deactivates their own account: another superuser does.")
    if not locked.is_active:
        return []
    locked.is_active = False
    locked.token_generation += 1
    locked.full_clean()
    locked.save(update_fields=["is_active", "token_generation"])
    families = tokens.revoke_all(user=locked)
    # revoked, not only closed for now: reactivating the account would bring them back
    keys = locked.api_keys.filter(revoked_at__isnull=True).update(revoked_at=Now())
    details = {"logins": families, "keys": keys}
    audit.record(action=AuditAction.USER_DEACTIVATED, actor=actor, subject=locked, details=details)
    return list(Library.objects.administered_alone_by(locked).order_by("name"))


@transaction.atomic
def reactivate(*, user: User, actor: User) -> None:
    """Open an account again. Whoever it belongs to logs in anew. One that is open stays as it is.

    Raises NotPermittedError unless `actor` runs the installation.
    """
    locked = lock_for_superuser(user=user, actor=actor)
    if locked.is_active:
        return
    locked.is_active = True
    locked.full_clean()
    locked.save(update_fields=["is_active"])
    audit.record(action=AuditAction.USER_REACTIVATED, actor=actor, subject=locked)


@transaction.atomic
def unlock(*, user: User, actor: User) -> None:
    """Let somebody try their password again whom wrong ones keep out. Does nothing where there were none.

    Raises NotPermittedError unless `actor` runs the installation.
    """
    locked = lock_for_superuser(user=user, actor=actor)
    if lockout.unlock(user=locked):
        audit.record(action=AuditAction.LOGIN_UNLOCKED, actor=actor, subject=locked)


def lock(*, user: User) -> User:
    """Let nobody else change an account until the end of the open transaction; gives it as it is now.

    Raises NotFoundError for one that is gone.
    """
    locked = User.objects.select_for_update(no_key=True).filter(pk=user.pk).first()
    if locked is None:
        raise NotFoundError(GONE)
    return locked


def lock_for_superuser(*, user: User, actor: User) -> User:
    """Lock an account that a superuser changes, and theirs, in the order of their keys; gives the one that is changed.

    Of two superusers who deactivate each other at the same moment, the second is none any more. Raises
    NotPermittedError unless `actor` runs the installation, NotFoundError for an account that is gone.
    """
    rows = User.objects.select_for_update(no_key=True).filter(pk__in=[user.pk, actor.pk]).order_by("pk")
    locked = {row.pk: row for row in rows}
    acting = locked.get(actor.pk)
    if actor.acting_key is not None or acting is None or not acting.runs_installation:
        raise NotPermittedError("What is done to accounts of others is done by superusers, in person.")
    if user.pk not in locked:
        raise NotFoundError(GONE)
    return locked[user.pk]
