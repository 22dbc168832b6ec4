"""How the tests of uploads ask: the protocol's headers, and a client of them."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from django.test import Client

from accounts.models import Library

UPLOADS = "/api/v1/uploads"
VERSION = {"Tus-Resumable": "1.0.0"}
OCTETS = "application/offset+octet-stream"


def metadata(**values: object) -> str:
    """Write the header of what is known of a file."""
    return ",".join(f"{name} {base64.b64encode(str(value).encode()).decode()}" for name, value in values.items())


def checksum(algorithm: str, data: bytes) -> str:
    """Write the header of what bytes hash to."""
    return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"


def create(client: Client, library: Library | object, length: int, *, data: bytes | None = None, **headers: str) -> Any:
    """Begin an upload; with `data` these bytes come along."""
    given = {
        **VERSION,
        "Upload-Length": str(length),
        "Upload-Metadata": metadata(library=getattr(library, "pk", library), filename="holiday.jpg"),
        **headers,
    }
    if data is None:
        return client.generic("POST", UPLOADS, headers=given)
    return client.generic("POST", UPLOADS, data, content_type=OCTETS, headers=given)


def patch(client: Client, address: str, offset: int, data: bytes = b"", **headers: str) -> Any:
    """Send bytes."""
    given = {**VERSION, "Upload-Offset": str(offset), **headers}
    return client.generic("PATCH", address, data, content_type=OCTETS, headers=given, CONTENT_LENGTH=str(len(data)))


def head(client: Client, address: str) -> Any:
    """Ask how far an upload is."""
    return client.head(address, headers=VERSION)


def end(client: Client, address: str) -> Any:
    """End an upload."""
    return client.delete(address, headers=VERSION)


def originals(folder: Path) -> list[bytes]:
    """Give what lies in a store of originals."""
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file() and ".uploads" not in path.parts]


def parts(folder: Path) -> list[bytes]:
    """Give what uploads that are not over have stored."""
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file() and ".uploads" in path.parts]


def assert_problem(response: Any, status: int, code: str) -> None:
    """Assert a refusal, as the protocol and the API have it."""
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response["Content-Type"] == "application/problem+json"
    assert response["Tus-Resumable"] == "1.0.0"
    assert response["Cache-Control"] == "no-store"
