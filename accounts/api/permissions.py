"""Who may use the addresses that are about accounts."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request


class IsPerson(BasePermission):
    """Lets people in, and no programs: a stolen key makes no other keys, and learns nothing of its owner's account."""

    message = "This is for people who log in, not for API keys."
    code = "person_required"

    def has_permission(self, request: Request, view: Any) -> bool:  # noqa: ARG002 - the framework's signature
        """Whether somebody is logged in, in person."""
        return bool(request.user.is_authenticated and request.user.acting_key is None)
