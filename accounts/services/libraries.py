"""Writes of libraries."""

from typing import TypedDict
from uuid import UUID

from django.db import transaction

from accounts.models import Library, Membership, Role, User
from accounts.problems import NotFoundError
from accounts.roles import BuiltInRole
from accounts.services import members


@transaction.atomic
def create_library(*, name: str, admin: User | None = None) -> Library:
    """Create a library; `admin`, if given, becomes its first member with the built-in admin role.

    Raises ValidationError for a name that cannot be or is taken.
    """
    library = Library(name=name)
    library.full_clean()
    library.save()
    if admin is not None:
        add_member(library=library, user=admin, role=BuiltInRole.ADMIN)
    return library


class LibraryChanges(TypedDict, total=False):
    """What may be changed of a library; what is missing stays."""

    name: str
    quota_bytes: int | None


@transaction.atomic
def change_library(*, library_id: UUID, changes: LibraryChanges) -> Library:
    """Rename a library, or give it another quota; gives it as it is then.

    Its switch of face analysis is left as it is at that moment, and so is an erasure that has been asked for. Raises
    NotFoundError, and ValidationError for a name that is empty or another library's.
    """
    library = Library.objects.select_for_update(no_key=True).filter(pk=library_id).first()
    if library is None:
        raise NotFoundError("The library is gone.")
    for name, value in changes.items():
        setattr(library, name, value)
    library.full_clean()
    library.save(update_fields=[*changes])
    return library


@transaction.atomic
def add_member(*, library: Library, user: User, role: str = BuiltInRole.VISITOR) -> Membership:
    """Give `user` the role named `role` in `library`, in place of the one held before: the system does it.

    Raises Role.DoesNotExist for a role that there is not, NotFoundError for a library that is gone, LastAdminError
    where that would take the library's last admin away.
    """
    # locked before it is looked whether somebody is a member: else another one who adds them comes between
    given = members.lock(library_id=library.pk, role=Role.objects.get(name=role))
    if Membership.objects.filter(library=library, user=user).exists():
        return members.change_role(library=library, user_id=user.pk, role=given, by=None)
    return members.add(library=library, user=user, role=given, by=None)
