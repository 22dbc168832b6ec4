"""What a caller may do to what is visible. What is not visible is 404 and never comes here."""

from uuid import UUID

from django.contrib.auth.models import AnonymousUser

from accounts.models import Library, User
from accounts.problems import NotPermittedError


def require(user: User | AnonymousUser, permission: str, *, library_id: UUID) -> None:
    """Raise NotPermittedError unless `user` holds `permission` in the library."""
    if not Library.objects.permitting(user, permission).filter(pk=library_id).exists():
        raise NotPermittedError(_detail(user, permission, where="in the library"), permission=permission)


def require_somewhere(user: User, permission: str) -> None:
    """Raise NotPermittedError unless `user` holds `permission` in some library, or runs the installation."""
    if not user.runs_installation and not Library.objects.permitting(user, permission).exists():
        raise NotPermittedError(_detail(user, permission, where="in a library"), permission=permission)


def _detail(user: User | AnonymousUser, permission: str, *, where: str) -> str:
    key = user.acting_key if isinstance(user, User) else None
    if key is not None and permission not in key.scopes:
        return f"This needs the scope {permission}, which the API key does not have."
    return f"This needs the permission {permission} {where}."
