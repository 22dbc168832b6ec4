"""Users, the libraries that they are members of, their keys, and the trail of what was done."""

from accounts.models.api_key import ApiKey, KeyState
from accounts.models.audit import AuditAction, AuditEvent
from accounts.models.library import Library, Membership, Role
from accounts.models.user import User

__all__ = ["ApiKey", "AuditAction", "AuditEvent", "KeyState", "Library", "Membership", "Role", "User"]
