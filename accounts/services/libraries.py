"""Writes of libraries and their members."""

from django.db import transaction

from accounts.models import Library, Membership, Role, User
from accounts.roles import BuiltInRole


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
    """Give `user` the role named `role` in `library`, in place of the one held before."""
    membership, _ = Membership.objects.update_or_create(
        library=library, user=user, defaults={"role": Role.objects.get(name=role)}
    )
    return membership
