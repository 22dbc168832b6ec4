"""Writes of memberships: who may do what in a library.

Whoever acts (`by`; None is the system) holds `members.manage` in the library, and neither gives nor takes away a role
that allows more than they may do there themselves: else somebody who manages members would be an admin in two steps.
The last admin of a library stays one: the library's row is locked meanwhile, so that two who leave at once see each
other.
"""

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction

from accounts.access import require
from accounts.models import AuditAction, Library, Membership, Role, User
from accounts.problems import ConflictError, InvalidValueError, NotFoundError, NotPermittedError
from accounts.roles import BuiltInRole, Permission
from accounts.services import audit


class AlreadyMemberError(ConflictError):
    """Somebody who is a member is neither added again nor invited."""

    code = "already_member"

    def __init__(self, email: str, library: Library) -> None:
        super().__init__(f"{email} is a member of {library} already.")


class LastAdminError(ConflictError):
    """A library keeps an active member with the built-in admin role; `libraries` are those that would have none."""

    code = "last_admin"


@transaction.atomic
def add(*, library: Library, user: User, role: Role, by: User | None) -> Membership:
    """Make `user` a member. Raises NotFoundError, NotPermittedError and AlreadyMemberError."""
    role = lock(library_id=library.pk, role=role)
    require_right(by, library.pk, role)
    membership, is_new = join(library_id=library.pk, user=user, role=role)
    if not is_new:
        raise AlreadyMemberError(user.email, library)
    _record(AuditAction.MEMBER_ADDED, membership, by, role=role.name)
    return membership


@transaction.atomic
def add_by_email(*, library: Library, email: str, role: Role | None = None, by: User | None) -> Membership:
    """Make whoever logs in with an address a member; a visitor, unless another role is given.

    Raises InvalidValueError for an address that no active account has, and what `add` raises.
    """
    # first: who has an account is told to those who manage members, and to nobody else
    require_right(by, library.pk)
    user = User.objects.filter(email=email.lower(), is_active=True).first()
    if user is None:
        raise InvalidValueError("No account has this address: invite it.", field="email", reason="no_account")
    return add(library=library, user=user, role=role or Role.objects.get(name=BuiltInRole.VISITOR), by=by)


@transaction.atomic
def change_role(*, library: Library, user_id: UUID, role: Role, by: User | None) -> Membership:
    """Give a member another role. The same again changes nothing.

    Raises NotFoundError for somebody who is no member, NotPermittedError and LastAdminError.
    """
    _lock(library.pk)
    membership, role = _membership(library.pk, user_id), _as_it_is(role)
    require_right(by, library.pk, role, membership.role)
    if membership.role_id == role.pk:
        return membership
    _require_other_admin(membership)
    before, membership.role = membership.role, role
    membership.full_clean()
    membership.save()
    _record(AuditAction.MEMBER_CHANGED, membership, by, role=role.name, before=before.name)
    return membership


@transaction.atomic
def remove(*, library: Library, user_id: UUID, by: User | None) -> None:
    """End a membership. Members may end their own, whatever their role allows.

    Raises NotFoundError for somebody who is no member, NotPermittedError and LastAdminError.
    """
    _lock(library.pk)
    membership = _membership(library.pk, user_id)
    leaves = by is not None and by.acting_key is None and by.is_active and by.pk == user_id
    if not leaves:
        require_right(by, library.pk, membership.role)
    _require_other_admin(membership)
    _record(AuditAction.MEMBER_REMOVED, membership, by, role=membership.role.name)
    membership.delete()


def lock(*, library_id: UUID, role: Role) -> Role:
    """Let nobody else change who belongs to a library, nor what a role allows; gives the role as it is now.

    Whoever gives somebody a membership does this first, asks `require_right` then, and writes by `join`. Raises
    NotFoundError for either that is gone.
    """
    _lock(library_id)
    return _as_it_is(role)


def join(*, library_id: UUID, user: User, role: Role) -> tuple[Membership, bool]:
    """Write the membership of somebody who may have it, after `lock`; gives it, and whether it is new.

    Who is a member already keeps the role.
    """
    found = Membership.objects.select_related("role").filter(library=library_id, user=user).first()
    if found is not None:
        return found, False
    membership = Membership(library_id=library_id, user=user, role=role)
    membership.full_clean()
    membership.save()
    return membership, True


def _lock(library_id: UUID) -> None:
    """Let nobody else change who belongs to the library; photos may come in meanwhile."""
    if not Library.objects.select_for_update(no_key=True).filter(pk=library_id).exists():
        raise NotFoundError("There is no such library.")


def _as_it_is(role: Role) -> Role:
    """Read a role anew, and keep it: what it allows may have changed since the caller read it, or change now."""
    # shared, which the ORM cannot say: many are given the same role at once, and nobody alters or deletes it meanwhile
    rows = list(Role.objects.raw("SELECT * FROM accounts_role WHERE id = %s FOR KEY SHARE", [role.pk]))
    if not rows:
        raise NotFoundError("There is no such role.")
    return rows[0]


def _membership(library_id: UUID, user_id: UUID) -> Membership:
    rows = Membership.objects.select_related("library", "role", "user")
    membership = rows.filter(library=library_id, user=user_id).first()
    if membership is None:
        raise NotFoundError("There is no such member.")
    return membership


def require_right(by: User | None, library_id: UUID, *roles: Role) -> None:
    """Raise NotPermittedError unless `by` manages members of a library and holds there all that these roles allow."""
    if by is None:
        return
    require(by, Permission.MANAGE_MEMBERS, library_id=library_id)
    mine = Library.objects.with_own_role(by).filter(pk=library_id)
    # nothing: where nobody has locked the library, the membership may have ended between the two
    held = mine.values_list("own_permissions", flat=True).first() or ()
    for role in roles:
        if more := sorted(set(role.permissions) - set(held)):
            detail = f"The role {role.name} allows what you may not do here yourself: {', '.join(more)}."
            raise NotPermittedError(detail, permission=more[0])


def _is_last_admin(membership: Membership) -> bool:
    """Whether the library would be without an active admin. Wants the library's row to be locked."""
    alone = Library.objects.administered_alone_by(membership.user)
    return alone.filter(pk=membership.library_id).exists()


def _require_other_admin(membership: Membership) -> None:
    if _is_last_admin(membership):
        refuse_last_admin([membership.library])


def refuse_last_admin(libraries: Iterable[Library]) -> None:
    """Raise LastAdminError, which names the libraries, if there are any."""
    if libraries := list(libraries):
        names = ", ".join(one.name for one in libraries)
        detail = f"This is the last admin of {names}: give somebody else the role admin there first."
        raise LastAdminError(detail, libraries=[str(one.pk) for one in libraries])


def _record(action: AuditAction, membership: Membership, by: User | None, **details: str) -> None:
    audit.record(
        action=action, actor=by, library_id=membership.library_id, subject=membership.user, details=dict(details)
    )
