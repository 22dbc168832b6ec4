"""Exports as somebody asks for them by the API, for tests of what is in them and of who may have them."""

import hashlib
import io
import json
import zipfile
from typing import Any
from uuid import uuid4

from django.test import Client

from accounts.models import AuditAction, AuditEvent, Library
from photos import storage
from processing.pipeline import library_work
from processing.services import object_sweeps

EXPORTS = "/api/v1/exports"


def work() -> int:
    return library_work.work(kind="export", task_id=str(uuid4()), worker="worker@test")


def ask(client: Client, **body: Any) -> Any:
    return client.post(EXPORTS, body, format="json")


def made(client: Client, library: Library, **body: Any) -> dict[str, Any]:
    """Ask for an export of a library and have it made; gives it as it is read then."""
    asked = ask(client, filter={"library": str(library.pk)}, **body)
    assert asked.status_code == 202, asked.content
    [one] = asked.json()["exports"]
    assert work() == 1
    return client.get(f"{EXPORTS}/{one['id']}").json()


def body_of(response: Any) -> bytes:
    assert response.status_code == 200, response.content
    return b"".join(response.streaming_content)


def opened(data: bytes) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Give the members of a zip, all of whose checksums are right, and its manifest."""
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        assert found.testzip() is None
        members = {one.filename: found.read(one) for one in found.infolist()}
        assert len(members) == len(found.infolist())
    return members, json.loads(members.pop("manifest.json"))


def packed(client: Client, one: dict[str, Any]) -> tuple[dict[str, bytes], dict[str, Any]]:
    [file] = one["files"]
    data = body_of(client.get(file["url"]))
    assert (len(data), hashlib.sha256(data).hexdigest()) == (file["byte_size"], file["sha256"])
    return opened(data)


def keys() -> set[str]:
    """Give the keys of all files of exports that lie in the store."""
    return {one.key for one in storage.list_objects(alias=storage.RENDITIONS) if one.key.endswith(".zip")}


def sweep() -> None:
    object_sweeps.sweep()


def events(action: AuditAction) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(action=action).order_by("pk"))
