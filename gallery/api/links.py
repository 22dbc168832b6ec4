"""Addresses of files. They name the version of what they give, so a client may keep it."""

import hashlib
from uuid import UUID

from django.utils.http import urlencode
from rest_framework.request import Request
from rest_framework.reverse import reverse

from photos.models import Rendition

VERSION_PARAMETER = "v"


def rendition_url(rendition: Rendition, *, request: Request | None) -> str:
    """Give the address of a rendition: a pure function of photo, kind and version."""
    address = reverse("photo-file-rendition", [rendition.photo_id, rendition.kind], request=request)
    return f"{address}?{urlencode({VERSION_PARAMETER: rendition.version})}"


def original_url(photo_id: UUID, *, request: Request | None) -> str:
    """Give the address of an original, which never changes."""
    return reverse("photo-file-original", [photo_id], request=request)


def chip_url(face_id: UUID | str, *, chip_key: str, request: Request | None) -> str:
    """Give the address of a face chip."""
    address = reverse("face-chip", [face_id], request=request)
    return f"{address}?{urlencode({VERSION_PARAMETER: chip_version(chip_key)})}"


def chip_version(chip_key: str) -> str:
    """Name what lies under a chip's key, which names place and version, without telling the key."""
    return hashlib.sha256(chip_key.encode()).hexdigest()[:16]
