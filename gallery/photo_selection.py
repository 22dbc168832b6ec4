"""Photos that a request names, by their ids or by the filters of the list."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import QueryDict
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from accounts.models import Library
from accounts.problems import InvalidValueError, NotFoundError
from accounts.roles import Permission
from gallery.api.photo_filter import PhotoFilter
from photos.models import Photo

PHOTOS_AT_MOST = 100_000
# characters of a stored filter as JSON: more than all filters at once, and little enough to be in each row of a list
STORED_AT_MOST = 20_000
# what the list takes and a stored filter does not: what lies in the trash is not edited, shown or exported
NOT_STORED = frozenset({"trashed"})


def filter_names() -> list[str]:
    """Give the names that a filter may have."""
    return sorted(PhotoFilter.base_filters.keys() - NOT_STORED)


def as_query(given: Mapping[str, Any]) -> QueryDict:
    """Write a filter in JSON as the query that it stands for. Raises ValidationError for a name that is none."""
    if unknown := sorted(given.keys() - set(filter_names())):
        detail = f"There is no such filter. There are: {', '.join(filter_names())}."
        raise ValidationError(dict.fromkeys(unknown, detail))
    # as in a query: a filter that is taken for none would keep everything
    if empty := sorted(name for name, value in given.items() if value in (None, "", []) or value in ([None], [""])):
        raise ValidationError(dict.fromkeys(empty, "It has no value: leave it away."), code="blank")
    query = QueryDict(mutable=True)
    for name, value in given.items():
        values = value if isinstance(value, list) else [value]
        if any(isinstance(one, dict | list) for one in values):
            raise ValidationError({name: "A value, or a list of values."})
        query.setlist(name, [_text(one) for one in values if one is not None])
    return query


def narrowed(photos: QuerySet[Photo], given: Mapping[str, Any], *, request: Request) -> QuerySet[Photo]:
    """Keep the photos that a filter in JSON keeps. Raises ValidationError, which names what is wrong."""
    found = PhotoFilter(data=as_query(given), queryset=photos, request=request)
    if not found.is_valid():
        raise ValidationError(found.errors)
    return found.qs


def checked(given: Mapping[str, Any], *, request: Request) -> dict[str, Any]:
    """Give a filter that may be stored, as it was given. Raises ValidationError, which names what is wrong.

    It may not name an album: two that name each other would have no end.
    """
    if "album" in given:
        raise ValidationError({"album": "A stored filter names no album."})
    if len(json.dumps(given)) > STORED_AT_MOST:
        raise ValidationError(f"A stored filter has at most {STORED_AT_MOST:,} characters.")
    narrowed(Photo.objects.none(), given, request=request)
    return dict(given)


def selected(
    given: Mapping[str, Any], *, request: Request, permissions: Iterable[Permission]
) -> list[tuple[UUID, UUID]]:
    """Give (library, photo) of what a request names by `photos` or `filter`.

    A filter keeps photos of the libraries alone in which the caller holds all `permissions`; that they are held for
    photos that are named is for the service to see. Raises NotFoundError, ValidationError, InvalidValueError.
    """
    visible = Photo.objects.visible_to(request.user)
    if "photos" in given:
        return by_ids(visible, given["photos"])
    for permission in permissions:
        visible = visible.filter(library__in=Library.objects.permitting(request.user, permission))
    try:
        kept = narrowed(visible, given["filter"], request=request)
    except ValidationError as error:
        raise ValidationError({"filter": error.detail}) from error
    return bounded(kept)


def by_ids(photos: QuerySet[Photo], ids: Sequence[UUID]) -> list[tuple[UUID, UUID]]:
    """Give (library, photo) of these, all of them among `photos`. Raises NotFoundError where one is not."""
    found = list(photos.filter(pk__in=ids).values_list("library_id", "pk"))
    if len(found) != len(set(ids)):
        raise NotFoundError("A photo is not there, or you may not see it.")
    return found


def bounded(photos: QuerySet[Photo]) -> list[tuple[UUID, UUID]]:
    """Give (library, photo) of all of them. Raises InvalidValueError where they are too many for one request."""
    found = list(photos.order_by("pk").values_list("library_id", "pk")[: PHOTOS_AT_MOST + 1])
    if len(found) > PHOTOS_AT_MOST:
        raise InvalidValueError(f"The filter keeps more than {PHOTOS_AT_MOST:,} photos: narrow it.", field="filter")
    return found


def _text(value: object) -> str:
    return {True: "true", False: "false"}.get(value, "") if isinstance(value, bool) else str(value)
