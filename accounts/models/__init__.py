"""Users, the libraries that they are members of, their keys and tokens, and the trail of what was done."""

from accounts.models.api_key import ApiKey, KeyState
from accounts.models.audit import AuditAction, AuditEvent
from accounts.models.invitation import Invitation
from accounts.models.library import Library, Membership, Role
from accounts.models.token_family import TokenFamily
from accounts.models.user import User

__all__ = [
    "ApiKey",
    "AuditAction",
    "AuditEvent",
    "Invitation",
    "KeyState",
    "Library",
    "Membership",
    "Role",
    "TokenFamily",
    "User",
]
