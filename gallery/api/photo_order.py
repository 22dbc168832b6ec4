"""Orders of photos: those that are paged by keys, and those that rank and give a bounded list of the best."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param

from accounts.ids import parse
from accounts.problems import COMBINATION
from gallery.api.pagination import NewestFirst
from gallery.models import Album
from gallery.models.album import AlbumKind
from photos.models import Photo
from photos.search import text

ORDER_PARAMETER = "order"
NEWEST, ALBUM, RELEVANCE, DISTANCE, MOST_VIEWED = "-uploaded", "album", "relevance", "distance", "-views"


@dataclass(frozen=True, slots=True)
class Key:
    """What photos are ordered by before their ids, and how a cursor's value of it is read."""

    expression: Combinable
    read: type | Any


def _moment(value: str) -> datetime:
    """Read a time; raises ValueError for one without an offset: no page has given that."""
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("a time without an offset")
    return moment


# keys of UUIDv7 are in the order of the uploads by themselves
KEYS: dict[str, Key | None] = {
    "uploaded": None,
    "taken": Key(F("dated_at"), _moment),
    "rating": Key(Coalesce("rating", 0), int),
    # in the rows by which the filter has found the album's photos
    "album": Key(F("album_photos__position"), int),
}
PAGED = ("-uploaded", "uploaded", "-taken", "taken", "-rating", "rating", "album")
# what each ranks by has to be asked for by this parameter; so has the album that an order is of
RANKED = {RELEVANCE: "q", DISTANCE: "near", MOST_VIEWED: None}
TAKING = {**RANKED, ALBUM: "album"}
ORDERS = (*PAGED, *RANKED)


def order_of(request: Request) -> str:
    """Read the order; raises ValidationError.

    Unless asked otherwise: with words to search for the best first, of an album its own order, else the newest first.
    """
    given = request.query_params.get(ORDER_PARAMETER)
    if given is None and request.query_params.get("q"):
        return RELEVANCE
    if given is not None and given not in ORDERS:
        raise ValidationError({ORDER_PARAMETER: f"One of {', '.join(ORDERS)}."})
    wanted = TAKING.get(given)
    if wanted is not None and not request.query_params.get(wanted):
        raise ValidationError({ORDER_PARAMETER: f"The order {given} takes the parameter {wanted}."}, code=COMBINATION)
    if given in {None, ALBUM}:
        return ALBUM if _is_put_together(request) else NEWEST
    return given


def _member(order: str) -> str:
    """Name an order as programs do: `-taken` is TAKEN_DESCENDING."""
    return order.removeprefix("-").upper() + ("_DESCENDING" if order.startswith("-") else "")


def _is_put_together(request: Request) -> bool:
    """Tell whether photos of an album are asked for that has an order, since people put them into it."""
    given = request.query_params.get("album")
    albums = Album.objects.visible_to(request.user).filter(kind=AlbumKind.MANUAL)
    return bool(given) and albums.filter(pk=parse(given)).exists()


def ranked(photos: QuerySet[Photo], request: Request, *, order: str) -> QuerySet[Photo]:
    """Order photos by a rank, the best first."""
    if order == RELEVANCE:
        return text.ranked(photos, request.query_params["q"], user=request.user)
    if order == DISTANCE:
        return photos.order_by("distance_km", "-pk")
    return photos.filter(views__isnull=False).order_by("-views__count", "-pk")


class PhotoPages(NewestFirst):
    """Pages of photos in any order. By a rank there is one page: of a rank nobody can tell where it went on.

    The cursor holds the last photo's key and id, so pages neither repeat nor miss a photo that stays where it is.
    """

    order_description = (
        "`-uploaded` (newest first), `uploaded`; `-taken`, `taken` (photos without a time by their upload); `-rating`, "
        "`rating` (none is 0); `album` (with an `album` that people put together, and then the default). Ranked, one "
        "page of the best and no `next`: `relevance` (with `q`, and then the default; among the newest "
        f"{text.RANKED_AT_MOST} that match), `distance` (with `near`), `-views` (those that were viewed)."
    )

    def paginate_queryset(self, queryset: QuerySet[Photo], request: Request, view: Any = None) -> list[Photo]:  # noqa: ARG002 - the framework's signature
        """Give the page that was asked for: ids and keys alone, which `view` describes. Raises ValidationError."""
        self.base_url, self.order = request.build_absolute_uri(), order_of(request)
        size = self.get_page_size(request)
        self.next_key = self.previous_key = None
        if self.order in RANKED:
            if request.query_params.get(self.cursor_query_param):
                raise ValidationError(
                    {self.cursor_query_param: f"The order {self.order} has one page."}, code=COMBINATION
                )
            return list(ranked(queryset, request, order=self.order).only("pk")[:size])
        is_back, after = self._read_cursor(request)
        name, is_descending = self.order.removeprefix("-"), self.order.startswith("-") != is_back
        found = list(_after(queryset, KEYS[name], after, is_descending=is_descending).only("pk")[: size + 1])
        is_more, page = len(found) > size, found[:size]
        if is_back:
            page.reverse()
        if page:
            # where a page was come to from, there is one, be it that its photos went meanwhile
            self.previous_key = self._key(page[0]) if (is_more if is_back else after is not None) else None
            self.next_key = self._key(page[-1]) if (is_more or is_back) else None
        return page

    def get_next_link(self) -> str | None:
        """Give the address of the page after."""
        return self._link(self.next_key, is_back=False)

    def get_previous_link(self) -> str | None:
        """Give the address of the page before."""
        return self._link(self.previous_key, is_back=True)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Describe cursor, page size and order."""
        order = {
            "name": ORDER_PARAMETER,
            "required": False,
            "in": "query",
            "description": self.order_description,
            # makers of clients would number what begins with no letter
            "schema": {"type": "string", "enum": [*ORDERS], "x-enum-varnames": [*map(_member, ORDERS)]},
        }
        return [*super().get_schema_operation_parameters(view), order]

    def _key(self, photo: Photo) -> list[Any]:
        value = getattr(photo, "order_key", None)
        return [value.isoformat() if isinstance(value, datetime) else value, str(photo.pk)]

    def _link(self, key: list[Any] | None, *, is_back: bool) -> str | None:
        if key is None:
            return None
        cursor = json.dumps([self.order, is_back, *key], separators=(",", ":"))
        encoded = urlsafe_b64encode(cursor.encode()).decode().rstrip("=")
        return replace_query_param(self.base_url, self.cursor_query_param, encoded)

    def _read_cursor(self, request: Request) -> tuple[bool, tuple[Any, UUID] | None]:
        given = request.query_params.get(self.cursor_query_param)
        if given is None:
            return False, None
        try:
            order, is_back, value, pk = json.loads(urlsafe_b64decode(given + "=" * (-len(given) % 4)))
            key = KEYS[order.removeprefix("-")]
            after = None if key is None else key.read(value), UUID(pk)
        except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError) as error:
            raise ValidationError({self.cursor_query_param: "Not a cursor that a page has given."}) from error
        if order != self.order:
            raise ValidationError({self.cursor_query_param: f"From a page of the order {order}."})
        return is_back is True, after


def _after(
    photos: QuerySet[Photo], key: Key | None, after: tuple[Any, UUID] | None, *, is_descending: bool
) -> QuerySet[Photo]:
    beyond = "lt" if is_descending else "gt"
    if key is None:
        photos = photos.order_by("-pk" if is_descending else "pk")
        return photos if after is None else photos.filter(**{f"pk__{beyond}": after[1]})
    keyed = photos.annotate(order_key=key.expression)
    if after is not None:
        # the first half finds the place in the index, the second sorts out those of the same key
        same = Q(**{f"order_key__{beyond}": after[0]}) | Q(**{f"pk__{beyond}": after[1]})
        keyed = keyed.filter(same, **{f"order_key__{beyond}e": after[0]})
    ends = ("-order_key", "-pk") if is_descending else ("order_key", "pk")
    return keyed.order_by(*ends)
