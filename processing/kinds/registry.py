"""The kinds of library work that there are."""

from processing.kinds.base import Kind
from processing.kinds.duplicates import DUPLICATES
from processing.kinds.edit import EDIT
from processing.kinds.erase_faces import ERASE
from processing.kinds.exporting import EXPORT
from processing.kinds.forget import FORGETTING
from processing.kinds.importing import IMPORTING
from processing.kinds.people import PeopleKind
from processing.kinds.plan import PLAN
from processing.kinds.regroup_preview import RegroupPreviewKind

_KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (PeopleKind(), RegroupPreviewKind(), PLAN, EDIT, IMPORTING, EXPORT, DUPLICATES, ERASE, FORGETTING)
}


def all_kinds() -> tuple[Kind, ...]:
    """Give every kind."""
    return tuple(_KINDS.values())


def names() -> frozenset[str]:
    """Give their names, none of which is a stage's."""
    return frozenset(_KINDS)


def get(name: str) -> Kind:
    """Give the kind of this name; KeyError if there is none."""
    return _KINDS[name]
