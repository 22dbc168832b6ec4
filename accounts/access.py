"""What a caller may do to what is visible. What is not visible is 404 and never comes here."""

from uuid import UUID

from django.contrib.auth.models import AnonymousUser

from accounts.models import Library, User
from accounts.problems import NotPermittedError


def require(user: User | AnonymousUser, permission: str, *, library_id: UUID) -> None:
    """Raise NotPermittedError unless `user` holds `permission` in the library."""
    if not Library.objects.permitting(user, permission).filter(pk=library_id).exists():
        raise NotPermittedError(f"This needs the permission {permission} in the library.", permission=permission)


def require_somewhere(user: User, permission: str) -> None:
    """Raise NotPermittedError unless `user` holds `permission` in some library, or runs the installation."""
    if not user.runs_installation and not Library.objects.permitting(user, permission).exists():
        raise NotPermittedError(f"This needs the permission {permission} in a library.", permission=permission)
