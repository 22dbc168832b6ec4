"""Erasing an account; and the receipts of all that is erased, whoever does it."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Model, Q
from django.db.models.functions import Now
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from accounts.models import ApiKey, AuditAction, ErasureKind, ErasureReceipt, Invitation, Library, Membership, User
from accounts.problems import ConflictError, NotFoundError, NotPermittedError
from accounts.services import audit, idempotency, passwords, second_factor, tokens, users
from accounts.services.members import refuse_last_admin


class LastSuperuserError(ConflictError):
    """Without this user nobody would run the installation."""

    code = "last_superuser"


@transaction.atomic
def begin(
    *, kind: ErasureKind, subject: Model, library_id: UUID | None, by: User | None
) -> tuple[ErasureReceipt, bool]:
    """Open the receipt of an erasure, and tell the trail who asked for it; gives it, and whether it is a new one.

    Of the same subject one is open at a time: what is asked for twice is one erasure, of whoever asked first.
    """
    asker = None if by is None else by.pk
    receipt = ErasureReceipt(kind=kind, subject_id=subject.pk, library_id=library_id, requested_by=asker)
    found = None
    # again, where the one that was open has been closed between the two
    while found is None:
        ErasureReceipt.objects.bulk_create([receipt], ignore_conflicts=True)
        found = ErasureReceipt.objects.open().filter(kind=kind, subject_id=subject.pk).first()
    is_new = found.pk == receipt.pk
    if is_new:
        details = {"kind": kind.value, "receipt": str(receipt.pk)}
        audit.record(action=AuditAction.ERASED, actor=by, library_id=library_id, subject=subject, details=details)
    return found, is_new


def note(*, kind: ErasureKind, subject_id: UUID, counts: Mapping[str, int]) -> None:
    """Keep on an open receipt how far its erasure has come, in the transaction of the step."""
    ErasureReceipt.objects.open().filter(kind=kind, subject_id=subject_id).update(counts=dict(counts))


def counted(*, kind: ErasureKind, subject_id: UUID) -> dict[str, int]:
    """Give what an open receipt says has gone so far; nothing where none is open."""
    open_ones = ErasureReceipt.objects.open().filter(kind=kind, subject_id=subject_id)
    return dict(open_ones.values_list("counts", flat=True).first() or {})


def end(
    *, kind: ErasureKind, subject_id: UUID, library_id: UUID | None, counts: Mapping[str, int], begun_at: datetime
) -> None:
    """Close the receipt of an erasure, in its last transaction; makes it where nobody in person asked for it.

    Answers that name what is gone are not given again.
    """
    idempotency.forget(ids=[subject_id])
    open_ones = ErasureReceipt.objects.open().filter(kind=kind, subject_id=subject_id)
    if not open_ones.update(counts=dict(counts), ended_at=Now()):
        ErasureReceipt.objects.create(
            kind=kind,
            subject_id=subject_id,
            library_id=library_id,
            begun_at=begun_at,
            ended_at=Now(),
            counts=dict(counts),
        )


def end_all_of_library(*, library_id: UUID) -> None:
    """Close the receipts of what was to be erased of a library that goes as a whole, in the transaction it goes in."""
    ErasureReceipt.objects.open().filter(library_id=library_id).exclude(kind=ErasureKind.LIBRARY).update(ended_at=Now())


@transaction.atomic
def forget_user(*, user: User, by: User | None) -> ErasureReceipt:
    """Erase an account with its memberships, keys, tokens, sessions and names; gives the receipt.

    What was uploaded stays in its libraries, of nobody; the trail keeps the id. Raises NotFoundError for an account
    that is gone, LastAdminError with the ids of the `libraries` of which it is the only active admin,
    LastSuperuserError for the only active superuser.
    """
    # before anybody waits for a lock, since all sessions are read; one that begins meanwhile is nobody's
    sessions = _sessions_of(user)
    libraries = _lock_libraries(user)
    gone = _lock_to_go(user)
    _lock_for_good(gone)
    _keep_admins(gone, libraries)
    receipt, _ = begin(kind=ErasureKind.USER, subject=gone, library_id=None, by=by)
    counts = {
        "users": 1,
        **extent_of_user(gone),
        "tokens": OutstandingToken.objects.filter(user=gone).delete()[1].get("token_blacklist.OutstandingToken", 0),
        "sessions": Session.objects.filter(pk__in=sessions).delete()[0],
        "invitations": Invitation.objects.filter(email=gone.email).delete()[1].get("accounts.Invitation", 0),
    }
    # wrong passwords are counted by the address that was typed
    for attempts in (AccessAttempt, AccessFailureLog, AccessLog):
        attempts.objects.filter(username=gone.email).delete()
    blank_admin_log(User, [gone.pk])
    _blank_address(gone.email)
    gone.delete()
    end(kind=ErasureKind.USER, subject_id=receipt.subject_id, library_id=None, counts=counts, begun_at=receipt.begun_at)
    receipt.refresh_from_db()
    return receipt


def extent_of_user(user: User) -> dict[str, int]:
    """Count what goes with an account."""
    return {
        "memberships": Membership.objects.filter(user=user).count(),
        "api_keys": ApiKey.objects.filter(owner=user).count(),
        # by what the user is called there: who shares or uploads is of a layer above
        "shares": user.shares.count(),
        "uploads": user.uploads.count(),
    }


def forget_self(*, user: User, password: str, code: str = "") -> ErasureReceipt:
    """Erase the account of whoever asks for it, in person; gives the receipt.

    It takes the password and a code of the second factor, each where the account has one. Call it outside of
    transactions: what was wrong is counted, and then the request refused. Raises NotPermittedError for an API key,
    InvalidValueError for another password, what `second_factor.require_code` raises, and what `forget_user` does.
    """
    if user.acting_key is not None:
        raise NotPermittedError("An account is erased in person, not with an API key.")
    passwords.require_own(user=user, password=password, way="erasure")
    second_factor.require_code(user=user, code=code, way="erasure")
    return forget_user(user=user, by=user)


def blank_admin_log(model: type[Model], ids: Iterable[UUID]) -> None:
    """Take the names out of what the admin has noted about these rows, and out of answers that were kept."""
    ids = list(ids)
    idempotency.forget(ids=ids)
    content_type = ContentType.objects.get_for_model(model)
    noted = LogEntry.objects.filter(content_type=content_type, object_id__in=[str(one) for one in ids])
    noted.update(object_repr="", change_message="")


def _lock_libraries(user: User) -> set[UUID]:
    """Lock the libraries of a user, before any account, as who makes members does: two admins who go see each other."""
    mine = Library.objects.filter(pk__in=Membership.objects.filter(user=user).values("library_id"))
    return set(mine.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))


def _lock_to_go(user: User) -> User:
    """Let nobody else change an account that goes; gives it as it is. Raises NotFoundError and LastSuperuserError."""
    # superusers are locked together: two of them who go at the same moment see each other
    together = User.objects.filter(is_superuser=True) | User.objects.filter(pk=user.pk)
    locked = {one.pk: one for one in together.order_by("pk").select_for_update(no_key=True)}
    if user.pk not in locked:
        raise NotFoundError(users.GONE)
    gone = locked.pop(user.pk)
    if gone.is_superuser and gone.is_active and not any(one.is_active and one.is_superuser for one in locked.values()):
        raise LastSuperuserError("Somebody else has to be made a superuser first: nobody would run the installation.")
    return gone


def _lock_for_good(gone: User) -> None:
    """Let no row refer to an account any more: an upload of the account's has ended then, or finds it gone.

    Who changes a token or accepts an invitation holds that row first, and refers to the account when all is written.
    So these rows come before: else both would wait for each other.
    """
    tokens.revoke_all(user=gone)
    invitations = Invitation.objects.filter(Q(email=gone.email) | Q(invited_by=gone))
    list(invitations.order_by("pk").select_for_update().values_list("pk"))
    list(User.objects.filter(pk=gone.pk).select_for_update().values_list("pk"))


def _keep_admins(user: User, locked: set[UUID]) -> None:
    """Raise LastAdminError where `user` is the only active admin of a library.

    Raises ConflictError where the account has become a member of another library since they were locked.
    """
    mine = Membership.objects.filter(user=user)
    if set(mine.values_list("library_id", flat=True)) - locked:
        raise ConflictError("The account has just become a member of another library. Try again.")
    alone = Library.objects.administered_alone_by(user).filter(erasure_requested_at__isnull=True)
    refuse_last_admin(alone.order_by("pk"))


def _sessions_of(user: User) -> list[str]:
    """Give the keys of the sessions of a user. A session does not say whose it is but in its data."""
    return [
        session.pk
        for session in Session.objects.iterator(chunk_size=1000)
        if session.get_decoded().get("_auth_user_id") == str(user.pk)
    ]


def _blank_address(email: str) -> None:
    """Take an address out of what the admin has noted about other rows: a library's members, an invitation."""
    # rather too much than too little: of a longer address that ends like it, too; messages are JSON
    written = json.dumps(email)[1:-1]
    LogEntry.objects.filter(object_repr__icontains=email).update(object_repr="")
    noted = LogEntry.objects.filter(Q(change_message__icontains=written) | Q(change_message__icontains=email))
    noted.update(change_message="")
