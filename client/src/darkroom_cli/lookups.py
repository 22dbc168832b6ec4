"""Libraries, albums and people by what they are called, for whoever does not know their ids."""

from types import ModuleType
from typing import Any
from uuid import UUID

from darkroom_client.api.albums import albums_create, albums_list, albums_photos_create
from darkroom_client.api.libraries import libraries_list
from darkroom_client.api.people import people_list
from darkroom_client.models import AlbumCreationRequest, AlbumPhotosRequest

from darkroom_cli.connection import Connection, as_id
from darkroom_cli.problems import DarkroomError
from darkroom_cli.text import printable

# filters whose values may be names, and what these are called
NAMED = {"library": "name", "album": "title", "person": "name"}
PAGE_SIZE = 200
# as many as the API takes at once
PHOTOS_AT_ONCE = 1000


class NoSuchNameError(DarkroomError):
    """Nothing that may be seen is called so, or more than one thing."""

    code = "no_such_name"
    exit_status = 2


def with_ids(filters: dict[str, Any], *, connection: Connection) -> dict[str, Any]:
    """Give the filters with ids where there were names. Raises NoSuchNameError."""
    found = dict(filters)
    if "library" in found:
        found["library"] = library_id(connection, found["library"])
    among = {"library": found["library"]} if "library" in found else {}
    if "album" in found:
        found["album"] = _id_of(connection, found["album"], albums_list, "album", "title", **among)
    if "person" in found:
        found["person"] = [_id_of(connection, one, people_list, "person", "name", **among) for one in found["person"]]
    return found


def library_id(connection: Connection, given: str) -> UUID:
    """Give the id of a library. Raises NoSuchNameError."""
    return _id_of(connection, given, libraries_list, "library", "name")


def album_id(connection: Connection, given: str, *, library: UUID, make: bool) -> UUID | None:
    """Give the id of an album of a library; where there is none of this title, `make` one, or give None."""
    try:
        return _id_of(connection, given, albums_list, "album", "title", library=library)
    except NoSuchNameError:
        if as_id(given) is not None or _named(connection, given, albums_list, "title", library=library):
            raise
    if not make:
        return None
    album, _ = connection.ask_once(albums_create, body=AlbumCreationRequest(library=library, title=given))
    return album.id


def put_into_album(connection: Connection, album: UUID, photos: list[UUID]) -> None:
    """Put photos into an album, at its end, in this order; those that are in it stay."""
    for start in range(0, len(photos), PHOTOS_AT_ONCE):
        body = AlbumPhotosRequest(photos=photos[start : start + PHOTOS_AT_ONCE])
        connection.ask(albums_photos_create, album, body=body)


def _id_of(connection: Connection, given: str, listed: ModuleType, noun: str, attribute: str, **among: Any) -> UUID:
    if (known := as_id(given)) is not None:
        return known
    found = _named(connection, given, listed, attribute, **among)
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(map(str, found))
        raise NoSuchNameError(f"There is more than one {noun} called {printable(given)}: name one by its id ({ids})")
    raise NoSuchNameError(f"You see no {noun} called {printable(given)}")


def _named(connection: Connection, given: str, listed: ModuleType, attribute: str, **among: Any) -> list[UUID]:
    rows = connection.pages(listed, page_size=PAGE_SIZE, **among)
    return [one.id for one in rows if getattr(one, attribute).casefold() == given.casefold()]
