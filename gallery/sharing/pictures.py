"""What a page shows of shared photos. Without `show_metadata` that is their pixels and number, and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Prefetch, QuerySet
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from gallery.models import Share, SharedPhoto
from gallery.photo_facts import camera_name, exposure, focal_length, wall_clock
from gallery.sharing.colours import average_colour
from photos.models import Metadata, Photo, Rendition

# pixels of the longer side: what a grid of tiles loads where the browser does not choose for itself
TILE_SIDE = 600


@dataclass(frozen=True, slots=True)
class Image:
    """An address, the widths to choose among (`srcset`), and the size in pixels, for the place that it takes."""

    url: str
    srcset: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Picture:
    """A photo on a page: `number` of `count`, a small and a large image (None until it is made), what is said of it."""

    number: int
    count: int
    position: int
    page_url: str
    colour: str
    tile: Image | None
    large: Image | None
    name: str
    facts: Sequence[str]


def pictures_of(share: Share, *, token: str) -> list[Picture]:
    """Give the photos that a share shows now, in order, with three queries at most."""
    found = list(_with_renditions(share, share.shown()))
    return [_picture(row, share, token, number, len(found)) for number, row in enumerate(found, 1)]


def picture_at(share: Share, position: int, *, token: str) -> tuple[Picture, str, str] | None:
    """Give one photo that a share shows now, and the pages of those before and after it ("": there is none).

    None where it is not shown. Of the others no more than the positions are read.
    """
    positions = list(share.shown().values_list("position", flat=True))
    row = _with_renditions(share, share.shown().filter(position=position)).first() if position in positions else None
    if row is None:
        return None
    place = positions.index(position)
    before, after = positions[:place][-1:], positions[place + 1 :][:1]
    picture = _picture(row, share, token, place + 1, len(positions))
    return picture, _page_url(token, *before), _page_url(token, *after)


def _with_renditions(share: Share, rows: QuerySet[SharedPhoto]) -> QuerySet[SharedPhoto]:
    """Fetch what `_picture` reads along with the rows."""
    renditions = Prefetch("photo__renditions", Rendition.objects.order_by("width", "kind"))
    return rows.prefetch_related(renditions).select_related("photo__metadata" if share.show_metadata else "photo")


def _page_url(token: str, position: int | None = None) -> str:
    return "" if position is None else reverse("shared-photo", args=[token, position])


def _picture(row: SharedPhoto, share: Share, token: str, number: int, count: int) -> Picture:
    photo, renditions = row.photo, list(row.photo.renditions.all())
    small = [one for one in renditions if max(one.width, one.height) <= 2 * TILE_SIDE] or renditions[:1]
    first = min(small, key=lambda one: abs(max(one.width, one.height) - TILE_SIDE), default=None)
    said = getattr(photo, "metadata", None) if share.show_metadata else None
    return Picture(
        number=number,
        count=count,
        position=row.position,
        page_url=_page_url(token, row.position),
        colour=average_colour(photo.thumbhash),
        tile=_image(first, small, token, row.position),
        large=_image(renditions[-1] if renditions else None, renditions, token, row.position),
        name=(photo.title or photo.original_filename) if share.show_metadata else "",
        facts=_facts(photo, said) if share.show_metadata else (),
    )


def _image(chosen: Rendition | None, among: Sequence[Rendition], token: str, position: int) -> Image | None:
    if chosen is None:
        return None
    url = {one.kind: reverse("shared-rendition", args=[token, position, one.kind]) for one in among}
    # renditions of a small photo are all of its own size: one of each width
    widths = {one.width: url[one.kind] for one in among}
    srcset = ", ".join(f"{address} {width}w" for width, address in sorted(widths.items()))
    return Image(url=url[chosen.kind], srcset=srcset, width=chosen.width, height=chosen.height)


def _facts(photo: Photo, said: Metadata | None) -> list[str]:
    """Say when and with what a photo was taken. Where it was taken is never said."""
    size = _("%(width)d \u00d7 %(height)d pixels") % {"width": photo.width, "height": photo.height}
    there = wall_clock(photo)
    taken = "" if there is None else date_format(there, "j F Y, H:i")
    facts = [taken, size]
    if said is not None:
        facts += [camera_name(said), said.lens, *exposure(said), focal_length(said)]
    return [fact for fact in facts if fact.strip()]
