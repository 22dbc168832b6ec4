"""Writes of libraries."""

from django.db import transaction

from accounts.models import Library, Membership, Role, User
from accounts.roles import BuiltInRole
from accounts.services import members


@transaction.atomic
def create_library(*, name: str, admin: User | None = None) -> Library:
    """Create a library; `admin`, if given, becomes its first member with the built-in admin role."""
    library = Library(name=name)
    library.full_clean()
    library.save()
    if admin is not None:
        add_member(library=library, user=admin, role=BuiltInRole.ADMIN)
    return library


@transaction.atomic
def add_member(*, library: Library, user: User, role: str = BuiltInRole.VISITOR) -> Membership:
    """Give `user` the role named `role` in `library`, in place of the one held before: the system does it.

    Raises LastAdminError where that would take the library's last admin away.
    """
    given = Role.objects.get(name=role)
    if Membership.objects.filter(library=library, user=user).exists():
        return members.change_role(library=library, user_id=user.pk, role=given, by=None)
    return members.add(library=library, user=user, role=given, by=None)
