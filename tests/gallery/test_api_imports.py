"""Imports in the API: started, followed, held up, ended, repeated. For superusers alone."""

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import factories
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts.models import AuditEvent, Library, User
from config.settings.storage import source_storages
from photos import storage
from photos.models import Photo
from processing.models import Import, ImportedFile, LibraryRun
from processing.pipeline import library_work

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]

IMPORTS = "/api/v1/imports"


@pytest.fixture
def operator() -> User:
    return factories.make_user(is_superuser=True)


@pytest.fixture
def client(operator: User) -> Client:
    return factories.client_of(operator)


@pytest.fixture
def library(db: None) -> Library:
    return factories.make_library()


@pytest.fixture
def root(settings: Settings, tmp_path: Path) -> Path:
    """A source with two photos, a broken file and a text."""
    folder = tmp_path / "cards" / "1"
    folder.mkdir(parents=True)
    for name, data in {
        "a.jpg": factories.image_bytes(colour=(200, 0, 0)),
        "b.jpg": factories.image_bytes(colour=(0, 0, 200)),
        "c%.jpg": b"broken",
        "notes.txt": b"a text",
    }.items():
        (folder / name).write_bytes(data)
    settings.STORAGES = {**settings.STORAGES, **source_storages({"cards": str(tmp_path / "cards")})}
    return folder


def work() -> int:
    return library_work.work(kind="import", task_id=str(uuid4()), worker="worker@test")


def post(client: Client, address: str = "", **body: Any) -> Any:
    return client.post(f"{IMPORTS}{address}", body, format="json")


def test_an_import_from_its_start_to_its_report(client: Client, operator: User, library: Library, root: Path) -> None:
    response = post(client, library=str(library.pk), source="cards", path="1")
    assert response.status_code == 201
    made = response.json()
    assert response["Location"] == f"http://testserver{IMPORTS}/{made['id']}"
    zeros = dict.fromkeys(made["counts"], 0)
    assert list(zeros) == [
        "files", "added", "duplicates", "unchanged", "changed", "refused", "missing", "passed_over", "sidecars",
        "sidecars_refused", "bytes",
    ]  # fmt: skip
    created_at = made.pop("created_at")
    assert made == {
        "id": made["id"], "library": str(library.pk), "source": "cards", "path": "1", "mode": "copy", "dry_run": False,
        "verify": False, "requested_by": str(operator.pk), "state": "running", "pause_code": "", "error_code": "",
        "phase": "counting", "total_files": None, "total_bytes": None, "counts": zeros, "refused_by": {},
        "files_per_second": None, "seconds_left": None, "finished_at": None,
    }  # fmt: skip
    assert created_at
    assert Photo.objects.count() == 0

    assert work() == 1

    done = client.get(f"{IMPORTS}/{made['id']}").json()
    assert (done["state"], done["phase"], done["total_files"], done["seconds_left"]) == ("finished", "done", 3, None)
    assert done["counts"] == {**zeros, "files": 3, "added": 2, "refused": 1, "passed_over": 1} | {
        "bytes": done["total_bytes"]
    }
    assert done["refused_by"] == {"unsupported_format": 1}
    [refused] = done["first_refused"]
    assert (refused["path"], refused["code"], refused["photo"]) == ("1/c%25.jpg", "unsupported_format", None)
    assert done["files_per_second"] > 0
    listed = client.get(IMPORTS).json()["results"]
    assert [one["id"] for one in listed] == [made["id"]]
    assert "first_refused" not in listed[0]


def test_files_are_listed_by_what_became_of_them(client: Client, library: Library, root: Path) -> None:
    made = post(client, library=str(library.pk), source="cards").json()
    work()
    files = f"{IMPORTS}/{made['id']}/files"
    first = client.get(files, {"page_size": 2}).json()
    second = client.get(first["next"]).json()
    assert [one["path"] for one in first["results"] + second["results"]] == ["1/c%25.jpg", "1/b.jpg", "1/a.jpg"]
    assert second["next"] is None
    added = client.get(files, {"state": "added"}).json()["results"]
    photos = {str(photo.pk) for photo in Photo.objects.all()}
    assert {one["photo"] for one in added} == photos
    assert client.get(files, {"state": "sidecar_refused"}).json()["results"] == []
    assert client.get(files, {"state": "nonsense"}).status_code == 400
    assert client.get(f"{IMPORTS}/{uuid4()}/files").status_code == 404
    ImportedFile.objects.filter(path="1/a.jpg").update(sidecar_code="sidecar_damaged")
    [one] = client.get(files, {"state": "sidecar_refused"}).json()["results"]
    assert (one["path"], one["sidecar_code"]) == ("1/a.jpg", "sidecar_damaged")


def test_it_is_paused_resumed_and_cancelled(client: Client, library: Library, root: Path) -> None:
    made = post(client, library=str(library.pk), source="cards").json()
    address = f"/{made['id']}"
    assert post(client, f"{address}/pause").json()["state"] == "paused"
    work()
    assert post(client, f"{address}/resume").json()["state"] == "running"
    cancelled = post(client, f"{address}/cancel").json()
    assert (cancelled["state"], cancelled["finished_at"] is not None) == ("cancelled", True)
    for verb in ("pause", "resume"):
        response = post(client, f"{address}/{verb}")
        assert (response.status_code, response.json()["code"]) == (409, "import_has_ended")
    work()
    assert Photo.objects.count() == 0
    actions = ["import.started", "import.paused", "import.resumed", "import.cancelled"]
    assert list(AuditEvent.objects.order_by("pk").values_list("action", flat=True)) == actions


def test_its_place_is_read_again(client: Client, library: Library, root: Path) -> None:
    first = post(client, library=str(library.pk), source="cards", path="1").json()
    # while it runs, the place is taken
    busy = post(client, f"/{first['id']}/rescan")
    assert (busy.status_code, busy.json()["code"], busy.json()["import"]) == (409, "import_is_open", first["id"])
    work()
    (root / "a.jpg").unlink()
    response = post(client, f"/{first['id']}/rescan", verify=True)
    assert response.status_code == 201
    again = response.json()
    assert again["id"] != first["id"]
    assert (again["path"], again["verify"]) == ("1", True)
    work()
    counts = client.get(f"{IMPORTS}/{again['id']}").json()["counts"]
    assert (counts["missing"], counts["unchanged"], counts["refused"]) == (1, 1, 1)
    missing = client.get(f"{IMPORTS}/{again['id']}/files", {"state": "missing"}).json()["results"]
    assert [one["path"] for one in missing] == ["1/a.jpg"]
    # a photo stays where its file is missing
    assert Photo.objects.count() == 2


def test_a_dry_run_counts(client: Client, library: Library, root: Path) -> None:
    made = post(client, library=str(library.pk), source="cards", dry_run=True).json()
    work()
    done = client.get(f"{IMPORTS}/{made['id']}").json()
    assert (done["state"], done["dry_run"], done["total_files"]) == ("finished", True, 3)
    assert done["total_bytes"] > 0
    assert Photo.objects.count() == 0


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"source": "nowhere"}, 400, "source_not_allowed"),
        ({"path": "../secret"}, 400, "source_not_allowed"),
        ({"path": "/etc"}, 400, "source_not_allowed"),
        ({"path": "\x00"}, 400, "invalid"),
        ({"path": "nowhere"}, 400, "invalid"),
        ({"path": "x" * 1001}, 400, "invalid"),
        ({"mode": "move"}, 400, "invalid"),
        ({"library": "7"}, 400, "invalid"),
        ({"library": str(UUID(int=7))}, 404, "not_found"),
    ],
)
def test_what_cannot_be_imported_is_refused_and_leaves_nothing(
    client: Client, library: Library, root: Path, body: dict[str, str], status: int, code: str
) -> None:
    response = post(client, **{"library": str(library.pk), "source": "cards", **body})
    assert (response.status_code, response.json()["code"]) == (status, code)
    # where the sources lie is nobody's business
    assert str(root.parent) not in response.content.decode()
    assert (Import.objects.count(), LibraryRun.objects.count(), AuditEvent.objects.count()) == (0, 0, 0)


def test_sources_are_named_and_not_where_they_lie(client: Client, root: Path) -> None:
    response = client.get(f"{IMPORTS}/sources")
    assert response.json() == {"sources": [{"name": "cards", "kind": "folder"}]}


def test_without_a_source_there_is_none(client: Client) -> None:
    assert client.get(f"{IMPORTS}/sources").json() == {"sources": []}


def test_a_library_that_is_being_erased_is_not_imported_into(client: Client, library: Library, root: Path) -> None:
    made = post(client, library=str(library.pk), source="cards").json()
    Library.objects.filter(pk=library.pk).update(erasure_requested_at=library.created_at)
    assert client.get(f"{IMPORTS}/{made['id']}").status_code == 404
    assert post(client, library=str(library.pk), source="cards").status_code == 404
    assert Import.objects.count() == 1


def test_a_list_costs_the_same_however_long_it_is(client: Client, library: Library, root: Path) -> None:
    counts = []
    for _ in range(2):
        for _ in range(3):
            post(client, library=str(library.pk), source="cards")
            work()
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert client.get(IMPORTS).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_referenced_original_is_downloaded_from_where_it_lies(
    client: Client, library: Library, root: Path, settings: Settings
) -> None:
    post(client, library=str(library.pk), source="cards", mode="reference")
    work()
    photo = Photo.objects.get(original_filename="a.jpg")
    assert photo.storage_alias == "source:cards"
    data = (root / "a.jpg").read_bytes()
    address = f"/api/v1/photos/{photo.pk}/original"
    # whoever else may send what is ours: never what is not
    for delivery in ("stream", "x-accel", "presigned"):
        settings.MEDIA_DELIVERY = delivery
        response = client.get(address)
        assert (response.status_code, b"".join(response.streaming_content)) == (200, data)
        assert response["Content-Disposition"] == 'attachment; filename="a.jpg"'
        assert "X-Accel-Redirect" not in response
    part = client.get(address, headers={"Range": "bytes=2-5"})
    assert (part.status_code, b"".join(part.streaming_content)) == (206, data[2:6])
    assert client.get(address, headers={"If-None-Match": f'"{photo.sha256}"'}).status_code == 304

    told = AuditEvent.objects.filter(action="original.downloaded").count()
    (root / "a.jpg").write_bytes(factories.image_bytes())
    changed = client.get(address)
    assert (changed.status_code, changed.json()["code"]) == (404, "original_changed")
    (root / "a.jpg").unlink()
    gone = client.get(address)
    assert (gone.status_code, gone.json()["code"]) == (404, "not_found")
    root.parent.rename(root.parent.parent / "away")
    away = client.get(address)
    assert (away.status_code, away.json()["code"]) == (503, "storage_unavailable")
    assert AuditEvent.objects.filter(action="original.downloaded").count() == told
    assert storage.is_source(photo.storage_alias)
