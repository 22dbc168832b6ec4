"""Who may come in before anything is looked up."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.models import Library
from accounts.roles import Permission


class SeesAudit(BasePermission):
    """Lets those in who may see who did what, in any library."""

    message = f"This needs the permission {Permission.VIEW_AUDIT.value} in a library."

    def has_permission(self, request: Request, view: Any) -> bool:  # noqa: ARG002 - the framework's signature
        """Whether the caller holds the permission anywhere."""
        user = request.user
        if not user.is_authenticated:
            return False
        return user.runs_installation or Library.objects.permitting(user, Permission.VIEW_AUDIT).exists()


class IsPerson(BasePermission):
    """Lets people in, and no programs: a stolen key makes no other keys, and learns nothing of its owner's account."""

    message = "This is for people who log in, not for API keys."
    code = "person_required"

    def has_permission(self, request: Request, view: Any) -> bool:  # noqa: ARG002 - the framework's signature
        """Whether somebody is logged in, in person."""
        return bool(request.user.is_authenticated and request.user.acting_key is None)
