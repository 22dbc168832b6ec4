"""Writes of an installation's own roles. The built-in ones stay as they are, whoever asks."""

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction

from accounts.models import AuditAction, Invitation, Membership, Role, User
from accounts.problems import ConflictError, InvalidValueError, NotFoundError, NotPermittedError
from accounts.roles import BuiltInRole, Permission
from accounts.services import audit


class BuiltInRoleError(ConflictError):
    """A built-in role cannot be altered or deleted."""

    code = "role_is_built_in"


class RoleInUseError(ConflictError):
    """A role that is given cannot be deleted: `members` memberships and `invitations` unanswered ones give it."""

    code = "role_in_use"


@transaction.atomic
def create_role(*, name: str, permissions: Iterable[str], by: User | None) -> Role:
    """Make a role of the installation's own; `by` is None for the system.

    Raises NotPermittedError unless `by` runs the installation: a role counts in every library. Raises InvalidValueError
    for a name that looks like that of a built-in role, ValidationError for one that is taken, and for a permission that
    there is not.
    """
    _require_superuser(by)
    role = Role(name=_checked_name(name), permissions=_in_order(permissions))
    role.full_clean()
    role.save()
    audit.record(action=AuditAction.ROLE_CREATED, actor=by, subject=role, details={"permissions": role.permissions})
    return role


@transaction.atomic
def change_role(*, role_id: UUID, name: str, permissions: Iterable[str], by: User | None) -> Role:
    """Rename a role and say anew what it allows: at once, for all who hold it. Nothing changed, nothing is noted.

    Raises what `create_role` raises, NotFoundError, and BuiltInRoleError.
    """
    _require_superuser(by)
    role = _own_role(role_id)
    before = role.name, role.permissions
    role.name, role.permissions = _checked_name(name), _in_order(permissions)
    if (role.name, role.permissions) == before:
        return role
    role.full_clean()
    role.save()
    changes = {"permissions": role.permissions, "permissions_before": before[1], "is_renamed": role.name != before[0]}
    audit.record(action=AuditAction.ROLE_CHANGED, actor=by, subject=role, details=changes)
    return role


@transaction.atomic
def delete_role(*, role_id: UUID, by: User | None) -> None:
    """Delete a role that nobody holds and nobody is invited into. What was answered goes with it: the trail has that.

    Raises NotPermittedError unless `by` runs the installation, NotFoundError, BuiltInRoleError and RoleInUseError.
    """
    _require_superuser(by)
    # locked against memberships and invitations that would begin to give it
    role = _own_role(role_id)
    members = Membership.objects.filter(role=role).count()
    invitations = Invitation.objects.unanswered().filter(role=role).count()
    if members or invitations:
        detail = (
            f"The role {role.name} is given by memberships ({members}) and by invitations that were not answered "
            f"({invitations}): give those members another role, and take those invitations back, first."
        )
        raise RoleInUseError(detail, members=members, invitations=invitations)
    audit.record(action=AuditAction.ROLE_DELETED, actor=by, subject=role, details={"permissions": role.permissions})
    role.delete()


def _own_role(role_id: UUID) -> Role:
    """Lock a role, as the database has it: what a caller holds may say anything."""
    role = Role.objects.select_for_update().filter(pk=role_id).first()
    if role is None:
        raise NotFoundError("There is no such role.")
    if role.is_built_in:
        raise BuiltInRoleError(f"The role {role.name} is built in: it is the same everywhere.")
    return role


def _require_superuser(user: User | None) -> None:
    if user is not None and not user.runs_installation:
        raise NotPermittedError("Roles count in every library: only who runs the installation makes or changes them.")


def _checked_name(name: str) -> str:
    name = name.strip()
    if name.lower() in BuiltInRole.values:
        raise InvalidValueError(f"{name} is the name of a built-in role, or looks like it.", field="name")
    return name


def _in_order(permissions: Iterable[str]) -> list[str]:
    """Give each permission once, in the order of the code; what is none of them comes last, to be refused."""
    given = set(permissions)
    return [one for one in Permission.values if one in given] + sorted(given - set(Permission.values))
