"""Who is told of what: the libraries of which somebody hears, by the permission that a kind of event asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from accounts.models import Library, User
from accounts.roles import Permission
from photos.models import EventKind

# those of the kinds, and that of whoever sees hidden photos
PERMISSIONS = frozenset(kind.permission for kind in EventKind) | {Permission.MODERATE_PHOTOS}
# also of a kind that only a newer release writes
_PERMISSION_OF = {kind.value: kind.permission for kind in EventKind}


@dataclass(frozen=True, slots=True)
class Audience:
    """What one user may hear of: {library: permissions held there}, of those that events ask for."""

    libraries: Mapping[UUID, frozenset[str]]

    def hears(self, *, kind: str, library_id: UUID, is_hidden: bool = False) -> bool:
        """Whether an event of this kind and library, `is_hidden` of a photo that is, is told to this user."""
        held = self.libraries.get(library_id)
        if held is None or (is_hidden and Permission.MODERATE_PHOTOS not in held):
            return False
        return _PERMISSION_OF.get(kind) in held


def audience_of(user: User) -> Audience:
    """Give what a user hears of now, by the rule that all reads begin with; one query.

    A key narrows its owner, and a library that is being erased tells nobody anything.
    """
    found = Library.objects.none()
    for permission in sorted(PERMISSIONS):
        found |= Library.objects.permitting(user, permission)
    rows = found.with_own_role(user).values_list("pk", "own_permissions")
    # most people hold the same few sets: kept once
    known: dict[frozenset[str], frozenset[str]] = {}
    libraries = {}
    for library_id, permissions in rows:
        held = PERMISSIONS & frozenset(permissions or ())
        libraries[library_id] = known.setdefault(held, held)
    return Audience(libraries)
