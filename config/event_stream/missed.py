"""What a listener has missed, page by page. Called in a thread, with a database connection of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Min

from config.event_stream.wire import Told, told
from photos.models import Event

# positions, most of which may be other people's
POSITIONS_PER_PAGE = 5000


@dataclass(frozen=True, slots=True)
class Page:
    """Events up to a position. `is_whole` is false where some of them are not kept any more."""

    events: Sequence[Told]
    until: int
    is_whole: bool = True


def read_page(
    *,
    after: int,
    until: int,
    libraries: Sequence[UUID],
    hears: Callable[[Told], bool],
) -> Page:
    """Read the events behind `after`, up to `until` or the end of a page, that somebody hears."""
    end = min(until, after + POSITIONS_PER_PAGE)
    rows = Event.objects.between(after, end).filter(library_id__in=libraries)
    found = [one for one in map(told, rows) if hears(one)]
    # asked last: what is deleted while the page is read is missed, and not passed over in silence
    first = Event.objects.filter(position__isnull=False).aggregate(first=Min("position"))["first"]
    return Page(found, end, is_whole=first is not None and first <= after + 1)
