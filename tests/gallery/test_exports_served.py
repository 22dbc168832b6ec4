"""Exports through a real server: sent while they are made, cut off, gone on with, and never taken for whole if not."""

import io
import os
import shutil
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import factories
import psutil
import pytest
import requests
from upload_server import Server, serving

from accounts.models import Library, User
from accounts.services import tokens
from photos.models import Photo
from processing.pipeline import library_work

pytestmark = pytest.mark.django_db(transaction=True)

MIB = 1024 * 1024
COUNT = 30


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def editor(library: Library) -> User:
    return factories.make_member(library, "editor")


@pytest.fixture
def photos(library: Library, photo_store: Path) -> list[Photo]:
    return [factories.make_photo(library, data=os.urandom(4 * MIB)) for _ in range(COUNT)]


@pytest.fixture
def server(photo_store: Path, process_environment: dict[str, str], tmp_path: Path) -> Iterator[Server]:
    stores = {"ORIGINALS_DIR": str(photo_store / "originals"), "RENDITIONS_DIR": str(photo_store / "renditions")}
    with serving(process_environment | stores, tmp_path / "log") as running:
        yield running


@pytest.fixture
def session(editor: User) -> requests.Session:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {tokens.begin(user=editor).access}"
    return session


def streamed(session: requests.Session, server: Server, library: Library) -> requests.Response:
    body = {"filter": {"library": str(library.pk)}, "delivery": "stream"}
    return session.post(f"{server.url}/api/v1/exports", json=body, stream=True, timeout=30)


def workers(server: Server) -> list[psutil.Process]:
    return psutil.Process(server.process.pid).children(recursive=True)


def opened(server: Server, photo_store: Path) -> list[str]:
    """Give the photos that the server holds open."""
    return [one.path for worker in workers(server) for one in worker.open_files() if str(photo_store) in one.path]


def test_a_stream_arrives_while_it_is_made(
    session: requests.Session, server: Server, library: Library, photos: list[Photo], photo_store: Path
) -> None:
    response = streamed(session, server, library)
    assert (response.status_code, response.headers["Transfer-Encoding"]) == (200, "chunked")
    assert "Content-Length" not in response.headers
    first = response.raw.read(MIB)
    # nobody reads on, so no more than a few photos have been opened
    assert len(opened(server, photo_store)) == 1
    before = max(worker.memory_info().rss for worker in workers(server))

    data = first + response.raw.read()

    with zipfile.ZipFile(io.BytesIO(data)) as found:
        assert found.testzip() is None
        assert len(found.namelist()) == COUNT + 1
    assert max(worker.memory_info().rss for worker in workers(server)) - before < 20 * MIB
    assert opened(server, photo_store) == []


def test_who_goes_away_leaves_nothing_open(
    session: requests.Session, server: Server, library: Library, photos: list[Photo], photo_store: Path
) -> None:
    response = streamed(session, server, library)
    response.raw.read(MIB)
    response.close()
    deadline = time.monotonic() + 20
    while opened(server, photo_store):
        assert time.monotonic() < deadline, "a photo stays open"
        time.sleep(0.05)
    assert session.get(f"{server.url}/api/v1/exports", timeout=10).json()["results"] == []


def test_a_stream_that_breaks_is_not_taken_for_whole(
    session: requests.Session, server: Server, library: Library, photos: list[Photo], photo_store: Path
) -> None:
    response = streamed(session, server, library)
    assert response.status_code == 200
    arrived, arriving = io.BytesIO(), response.iter_content(MIB)
    arrived.write(next(arriving))
    # as a disk that is unmounted
    shutil.rmtree(photo_store / "originals")

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        arrived.writelines(arriving)
    assert not zipfile.is_zipfile(arrived)


def test_a_download_goes_on_where_it_was_cut_off(
    session: requests.Session, server: Server, library: Library, photos: list[Photo]
) -> None:
    asked = session.post(f"{server.url}/api/v1/exports", json={"filter": {"library": str(library.pk)}}, timeout=30)
    export: dict[str, Any] = asked.json()["exports"][0]
    assert library_work.work(kind="export", task_id=str(uuid4()), worker="worker@test") == 1
    [file] = session.get(f"{server.url}/api/v1/exports/{export['id']}", timeout=10).json()["files"]
    cut = requests.get(file["link"], stream=True, timeout=10)
    got = cut.raw.read(50 * MIB)
    cut.close()
    wanted = {"Range": f"bytes={len(got)}-", "If-Range": cut.headers["ETag"]}

    rest = requests.get(file["link"], headers=wanted, timeout=30)

    assert (rest.status_code, len(got) + len(rest.content)) == (206, file["byte_size"])
    with zipfile.ZipFile(io.BytesIO(got + rest.content)) as found:
        assert found.testzip() is None
        assert len(found.namelist()) == COUNT + 1
