"""Invitations into a library, by mail: made by those who manage its members, accepted once."""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts import mail
from accounts.digests import digest
from accounts.models import AuditAction, Invitation, Library, Membership, Role, User
from accounts.problems import ConflictError, DomainError, InvalidValueError, NotFoundError, NotPermittedError
from accounts.roles import BuiltInRole
from accounts.services import audit, members, new_accounts

SUBJECT = "An invitation to a photo library"
TEXT = """\
{inviter} invites you to the photo library "{library}" at {address}.

Accept here:

    {address}/invitation#{token}

or give this code to the program that you use:

    {token}

It works once, until {expires:%d %B %Y, %H:%M} UTC. If you know nothing of this, there is nothing to do.
"""
_TOKEN_BYTES = 32


class InvitationNotValidError(DomainError):
    """An invitation's token is wrong, was used, revoked or replaced, or has run out."""

    code = "invitation_not_valid"

    def __init__(self) -> None:
        super().__init__("This invitation is wrong, was used, revoked or replaced, or has run out: ask for another.")


@dataclass(frozen=True, slots=True)
class SentInvitation:
    """An invitation, and whether the mail server has taken it by now; one that was not sent is made again."""

    invitation: Invitation
    mail_sent: bool


def invite(*, actor: User, library: Library, email: str, role: str = BuiltInRole.VISITOR) -> SentInvitation:
    """Invite an address into a library with the role of that name, in place of an invitation that it has not answered.

    Call it outside of transactions: the mail follows the commit, and a mail server that is down undoes nothing. Raises
    NotPermittedError unless `actor` manages the library's members and may do there all that the role may,
    InvalidValueError for a role that there is not, NotFoundError for a library that is gone, AlreadyMemberError.
    """
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    with transaction.atomic(durable=True):
        invitation = _create(actor=actor, library=library, email=email.lower(), role=role, token=token)
    return _send(invitation, token=token)


@transaction.atomic
def invite_on_commit(
    *, actor: User, library: Library, email: str, role: str, tell: Callable[[SentInvitation], None]
) -> Invitation:
    """Invite as `invite` does, within a transaction: the mail follows its commit, and `tell` hears what came of it.

    Of one that is rolled back there is no mail and no word. Raises what `invite` does.
    """
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    invitation = _create(actor=actor, library=library, email=email.lower(), role=role, token=token)
    transaction.on_commit(lambda: tell(_send(invitation, token=token)))
    return invitation


def _send(invitation: Invitation, *, token: str) -> SentInvitation:
    text = TEXT.format(
        inviter=invitation.invited_by.email,
        library=" ".join(invitation.library.name.split()),
        address=settings.PUBLIC_URL,
        token=token,
        expires=invitation.expires_at,
    )
    return SentInvitation(invitation, mail.send_and_wait(to=invitation.email, subject=SUBJECT, text=text))


def _create(*, actor: User, library: Library, email: str, role: str, token: str) -> Invitation:
    named = Role.objects.filter(name=role).first()
    if named is None:
        raise InvalidValueError("There is no role of this name.", field="role")
    # one invitation at a time into a library: two for one address do not meet in the constraint
    given = members.lock(library_id=library.pk, role=named)
    members.require_right(actor, library.pk, given)
    if Membership.objects.filter(library=library, user__email=email).exists():
        raise members.AlreadyMemberError(email, library)
    replaced = Invitation.objects.unanswered().filter(library=library, email=email).select_related("role").first()
    if replaced is not None:
        members.require_right(actor, library.pk, replaced.role)
        replaced.revoked_at = Now()
        replaced.save(update_fields=["revoked_at"])
    invitation = Invitation(
        email=email,
        library=library,
        role=given,
        invited_by=actor,
        token_sha256=digest(token),
        expires_at=timezone.now() + timedelta(days=settings.INVITATION_DAYS),
    )
    invitation.full_clean()
    invitation.save()
    details = {"role": given.name, "replaced": replaced is not None}
    audit.record(
        action=AuditAction.USER_INVITED, actor=actor, library_id=library.pk, subject=invitation, details=details
    )
    return invitation


@transaction.atomic
def revoke(*, actor: User, invitation: Invitation) -> None:
    """Take an invitation back. One that was taken back stays as it is.

    Raises NotPermittedError unless `actor` manages the library's members and may do there all that the role may,
    ConflictError for one that was accepted, NotFoundError for one that is gone.
    """
    locked = Invitation.objects.select_for_update().filter(pk=invitation.pk).first()
    if locked is None:
        raise NotFoundError("There is no such invitation.")
    members.require_right(actor, locked.library_id, locked.role)
    if locked.accepted_at is not None:
        raise ConflictError("This invitation was accepted: remove the member.")
    if locked.revoked_at is not None:
        return
    locked.revoked_at = Now()
    locked.save(update_fields=["revoked_at"])
    audit.record(action=AuditAction.INVITATION_REVOKED, actor=actor, library_id=locked.library_id, subject=locked)


@transaction.atomic
def revoke_open(*, actor: User, ids: Iterable[UUID]) -> int:
    """Take back those of some invitations that can be accepted now, and leave the others; gives how many.

    Raises NotPermittedError, and takes none back, unless `actor` manages the members of the libraries of all of them.
    """
    chosen = list(Invitation.objects.open().filter(pk__in=list(ids)).order_by("pk").select_for_update())
    for invitation in chosen:
        revoke(actor=actor, invitation=invitation)
    return len(chosen)


@transaction.atomic
def accept(*, token: str, user: User | AnonymousUser, name: str = "", password: str = "") -> Membership:
    """Join a library, once: as `user` if that is the account of the invited address, else with a new account.

    `name` and `password` are those of the new account, which nobody is logged in to by this. Somebody who has become a
    member meanwhile keeps the role. Raises InvitationNotValidError, AccountExistsError where the owner of the account
    is not logged in, NotPermittedError for somebody else's, ValidationError for a password that is not good enough.
    """
    invitation = _lock(token)
    if isinstance(user, User):
        member = _confirmed(user, invitation)
    else:
        member = new_accounts.create(email=invitation.email, name=name, password=password)
    invitation.accepted_at = Now()
    invitation.save(update_fields=["accepted_at"])
    membership, is_new = members.join(library_id=invitation.library_id, user=member, role=invitation.role)
    audit.record(
        action=AuditAction.USER_JOINED,
        actor=member,
        library_id=invitation.library_id,
        subject=invitation,
        details={"role": membership.role.name, "new_account": member is not user, "was_member": not is_new},
    )
    return membership


def _confirmed(user: User, invitation: Invitation) -> User:
    if user.acting_key is not None:
        raise NotPermittedError("An API key does not accept invitations.")
    if user.email != invitation.email:
        raise NotPermittedError("This invitation is for another address than that of your account.")
    return user


def invited_among(emails: Iterable[str]) -> set[str]:
    """Give those of some addresses that have an invitation which can be accepted now."""
    rows = Invitation.objects.open().filter(email__in=emails).select_related("role", "invited_by")
    return {row.email for row in rows if _still_stands(row)}


def _lock(token: str) -> Invitation:
    """Lock an invitation that can be accepted, and its role as it is now. Raises InvitationNotValidError."""
    matching = Invitation.objects.open().filter(token_sha256=digest(token))
    found = matching.select_related("role").first()
    if found is None:
        raise InvitationNotValidError
    try:
        # before the invitation, as who invites does
        role = members.lock(library_id=found.library_id, role=found.role)
    except NotFoundError as error:
        raise InvitationNotValidError from error
    invitation = matching.select_for_update().first()
    if invitation is None:
        raise InvitationNotValidError
    invitation.role = role
    if not _still_stands(invitation):
        raise InvitationNotValidError
    return invitation


def _still_stands(invitation: Invitation) -> bool:
    """Tell whether whoever invited could still do so: what somebody may not do any more, nobody does in their name."""
    try:
        members.require_right(invitation.invited_by, invitation.library_id, invitation.role)
    except NotPermittedError:
        return False
    return True
