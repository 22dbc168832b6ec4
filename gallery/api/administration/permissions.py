"""Who runs the installation."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request


class RunsInstallation(BasePermission):
    """Lets superusers in, and nobody else: dead letters show files, hosts and paths of every library.

    An administrator of a library retries its photos by `POST /photos/{id}/retry`, and sees their errors there.
    """

    message = "This is for whoever runs the installation."

    def has_permission(self, request: Request, view: Any) -> bool:  # noqa: ARG002 - the framework's signature
        """Whether the caller runs the installation; refused before anything is looked up."""
        return bool(request.user.is_authenticated and request.user.runs_installation)
