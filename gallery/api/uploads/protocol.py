"""The tus protocol's headers: what they are called, how those of a request are read, and what an answer says in them.

Source: https://tus.io/protocols/resumable-upload, version 1.0.0.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.http import UnreadablePostError
from django.utils.http import http_date
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.reverse import reverse

from accounts.problems import DomainError, InvalidValueError
from photos.problems import RefusedFileError
from processing.models import Upload, UploadState
from processing.services.uploads.receiving import ALGORITHMS, Checksum

VERSION = "1.0.0"
EXTENSIONS = ("creation", "creation-with-upload", "checksum", "termination", "expiration")
MEDIA_TYPE = "application/offset+octet-stream"
PHOTO, ERROR = "Darkroom-Photo", "Darkroom-Error"
METHOD_OVERRIDE = "X-HTTP-Method-Override"
CHUNK_BYTES = 64 * 1024

# for whoever sets up CORS: what a page of another origin sends, and what its script has to be able to read
REQUEST_HEADERS = (
    "Tus-Resumable", "Upload-Length", "Upload-Metadata", "Upload-Offset", "Upload-Checksum", METHOD_OVERRIDE,
)  # fmt: skip
EXPOSED_HEADERS = (
    "Location", "Content-Location", "Upload-Offset", "Upload-Length", "Upload-Expires", "Upload-Metadata",
    "Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size", "Tus-Checksum-Algorithm", PHOTO, ERROR,
)  # fmt: skip

# as many digits as a column of the database holds
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)


class VersionError(DomainError):
    """The client speaks another version of the protocol, or another protocol."""

    code = "tus_version"


class UnreadBody(BaseParser):
    """Leaves the bytes of a request where they are: they are read as a stream, and by nobody else."""

    media_type = MEDIA_TYPE

    def parse(self, *_args: object, **_kwargs: object) -> dict[str, object]:
        """Give nothing."""
        return {}


@dataclass(frozen=True, slots=True)
class Creation:
    """What is asked for: an upload of `length` bytes into a library. `metadata` is the header as it came."""

    length: int
    library_id: UUID
    filename: str
    metadata: str


def require_version(request: Request) -> None:
    """Raise VersionError unless the client speaks this version."""
    if request.headers.get("Tus-Resumable") != VERSION:
        raise VersionError(f"Send `Tus-Resumable: {VERSION}`: it is the version that is spoken here.")


def creation(request: Request) -> Creation:
    """Read the headers by which an upload is begun. Raises InvalidValueError."""
    length = _number(request, "Upload-Length")
    header = request.headers.get("Upload-Metadata", "")
    metadata = _metadata(header)
    try:
        library_id = UUID(metadata["library"])
    except KeyError as error:
        detail = "Name the library: `library`, a space, and its id in base64."
        raise InvalidValueError(detail, field="Upload-Metadata", reason="required") from error
    except ValueError as error:
        raise InvalidValueError("`library` is not an id.", field="Upload-Metadata") from error
    return Creation(length, library_id, metadata.get("filename", ""), header)


def offset(request: Request) -> int:
    """Read where the bytes of a request belong. Raises InvalidValueError."""
    return _number(request, "Upload-Offset")


def checksum(request: Request) -> Checksum | None:
    """Read what the bytes of a request hash to, where it is said. Raises InvalidValueError."""
    header = request.headers.get("Upload-Checksum")
    if header is None:
        return None
    algorithm, _, digest = header.strip().partition(" ")
    if algorithm not in ALGORITHMS:
        detail = f"Algorithms are {', '.join(ALGORITHMS)}."
        raise InvalidValueError(detail, field="Upload-Checksum", reason="unknown_algorithm")
    try:
        given = b64decode(digest.strip(), validate=True)
    except binascii.Error as error:
        raise InvalidValueError("The digest is not in base64.", field="Upload-Checksum") from error
    if len(given) != ALGORITHMS[algorithm]().digest_size:
        raise InvalidValueError(f"This is no digest of {algorithm}.", field="Upload-Checksum")
    return Checksum(algorithm, digest.strip())


def body_length(request: Request) -> int:
    """Give how many bytes a request announces; 0 without a body."""
    return int(request.META.get("CONTENT_LENGTH") or 0)


def require_media_type(request: Request) -> None:
    """Raise UnsupportedMediaType unless the body is of the protocol's type."""
    if request.content_type.split(";", maxsplit=1)[0].strip().lower() != MEDIA_TYPE:
        raise UnsupportedMediaType(request.content_type, detail=f"Send the bytes as {MEDIA_TYPE}.")


def body(request: Request, *, missing: int) -> Iterator[bytes]:
    """Give the bytes of a request as they come in; where the connection breaks they end.

    Raises RefusedFileError (`beyond_length`) before any is read where more are announced than are `missing`.
    """
    announced = body_length(request)
    if announced > missing:
        detail = f"The request has {announced:,} bytes, and the upload lacks {missing:,}."
        raise RefusedFileError("beyond_length", detail, missing=missing)
    return _stream(request, announced)


def answer_headers(upload: Upload, *, request: Request) -> dict[str, str]:
    """Say in headers how far an upload is, and what became of it."""
    headers = {"Upload-Offset": str(upload.offset), "Upload-Expires": http_date(upload.expires_at.timestamp())}
    if upload.state == UploadState.COMPLETE:
        address = reverse("photo-detail", [upload.photo_id], request=request)
        headers |= {PHOTO: str(upload.photo_id), "Content-Location": address}
    return headers


def capabilities() -> dict[str, str]:
    """Say in headers what is spoken here."""
    return {
        "Tus-Version": VERSION,
        "Tus-Extension": ",".join(EXTENSIONS),
        "Tus-Max-Size": str(settings.UPLOAD_MAX_BYTES),
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
    }


def _stream(request: Request, left: int) -> Iterator[bytes]:
    while left:
        try:
            data = request.stream.read(min(CHUNK_BYTES, left))
        except UnreadablePostError:
            # the connection was reset: what has come in until now is kept
            return
        if not data:
            return
        left -= len(data)
        yield data


def _number(request: Request, name: str) -> int:
    value = request.headers.get(name)
    if value is None:
        raise InvalidValueError(f"{name} is missing.", field=name, reason="required")
    if not _NUMBER.fullmatch(value.strip()):
        raise InvalidValueError(f"{name} is a number of bytes.", field=name)
    return int(value)


def _metadata(header: str) -> dict[str, str]:
    """Read `key base64,key base64`; a key alone has an empty value."""
    found = {}
    for pair in filter(None, (one.strip() for one in header.split(","))):
        key, _, value = pair.partition(" ")
        try:
            found[key] = b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            detail = f"The value of {key!r} is not UTF-8 in base64."
            raise InvalidValueError(detail, field="Upload-Metadata") from error
    return found
