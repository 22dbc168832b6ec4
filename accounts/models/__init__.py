"""Users, the libraries that they are members of, their keys and tokens, and the trail of what was done."""

from accounts.models.api_key import ApiKey, KeyState
from accounts.models.audit import AuditAction, AuditEvent
from accounts.models.consent import ConsentRecord
from accounts.models.erasure import ErasureKind, ErasureReceipt
from accounts.models.idempotency import IdempotentRequest
from accounts.models.invitation import Invitation, InvitationState
from accounts.models.library import Library, Membership, Role
from accounts.models.token_family import TokenFamily
from accounts.models.usage import LibraryUsage, UserUsage
from accounts.models.user import User

__all__ = [
    "ApiKey",
    "AuditAction",
    "AuditEvent",
    "ConsentRecord",
    "ErasureKind",
    "ErasureReceipt",
    "IdempotentRequest",
    "Invitation",
    "InvitationState",
    "KeyState",
    "Library",
    "LibraryUsage",
    "Membership",
    "Role",
    "TokenFamily",
    "User",
    "UserUsage",
]
