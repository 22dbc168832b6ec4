"""Users, and the libraries that they are members of."""

from accounts.models.library import Library, Membership, Role
from accounts.models.user import User

__all__ = ["Library", "Membership", "Role", "User"]
