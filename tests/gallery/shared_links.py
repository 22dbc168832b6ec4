"""Shares for tests: photos with pictures that are real JPEGs, and a visitor without an account."""

from typing import Any

import factories
from django.test import Client

from accounts.models import Library, User
from gallery.models import Share
from gallery.services import shares
from photos.models import Photo

SIZES = {"preview": (1440, 1080), "thumb_1200": (1200, 900), "thumb_600": (600, 450), "thumb_300": (300, 225)}


def make_shown_photo(library: Library, **values: Any) -> Photo:
    """Make a photo with an original and all its renditions."""
    photo = factories.make_photo(library, data=factories.image_bytes(), width=4000, height=3000, **values)
    for kind, (width, height) in SIZES.items():
        data = factories.image_bytes(size=(width // 10, height // 10))
        factories.make_rendition(photo, kind, data=data, width=width, height=height)
    return photo


def share(by: User, *photos: Photo, **options: Any) -> tuple[Share, str]:
    """Share photos; gives the share and the path of its link."""
    made, token = shares.create_share(by=by, photo_ids=[photo.pk for photo in photos], options=options)
    return made, f"/s/{token}"


def body(response: Any) -> bytes:
    """Read an answer, streamed or not."""
    return b"".join(response.streaming_content) if response.streaming else response.content


def status(client: Client, path: str) -> int:
    """Ask for a path and read the answer to its end; gives the status."""
    response = client.get(path)
    body(response)
    return response.status_code
