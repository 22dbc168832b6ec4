"""A real nginx in front of Darkroom: it sends the bytes of MEDIA_DELIVERY=x-accel, with what Darkroom said of them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import factories
import nginx_server
import pytest
import requests
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from accounts.models import Library, User
from accounts.services import tokens
from gallery.services import shares
from photos.models import Photo

DATA = bytes(range(256)) * 4


@pytest.fixture
def member(transactional_db: None) -> tuple[Library, User]:
    library = factories.make_library()
    return library, factories.make_member(library, "editor")


@pytest.fixture
def photo(member: tuple[Library, User], photo_store: Path) -> Photo:
    photo = factories.make_photo(member[0], data=DATA, original_filename="Strände.jpg")
    factories.make_rendition(photo, "preview", data=b"picture")
    # what a path may not be taken for: a query, an escape, a folder above
    factories.make_rendition(photo, "thumb_300", data=b"small", version="1.50% of ä?#")
    return photo


@pytest.fixture
def nginx(
    program: Callable[[str], str],
    live_server: LiveServer,
    photo: Photo,
    photo_store: Path,
    settings: Settings,
    tmp_path: Path,
) -> Iterator[str]:
    """An nginx with our snippets, in front of a Darkroom that leaves the sending to it; gives its address."""
    settings.MEDIA_DELIVERY = "x-accel"
    snippet = (nginx_server.SNIPPETS / "darkroom-media.conf").read_text()
    assert snippet.count("alias /var/lib/darkroom/") == 2
    (tmp_path / "darkroom-media.conf").write_text(snippet.replace("/var/lib/darkroom", str(photo_store)))
    name = "darkroom-media-headers.conf"
    (tmp_path / name).write_text((nginx_server.SNIPPETS / name).read_text())
    server = f"include {tmp_path}/darkroom-media.conf;"
    with nginx_server.running(program("nginx"), tmp_path, server=server, upstream=live_server.url) as address:
        yield address


@pytest.fixture
def session(member: tuple[Library, User]) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {tokens.begin(user=member[1]).access}"
        yield session


def test_nginx_sends_the_bytes_and_keeps_the_headers(nginx: str, session: requests.Session, photo: Photo) -> None:
    response = session.get(f"{nginx}/api/v1/photos/{photo.pk}/original")

    assert (response.status_code, response.content) == (200, DATA)
    assert "X-Accel-Redirect" not in response.headers
    assert response.headers["Server"].startswith("nginx")
    assert response.headers["Content-Type"] == "image/jpeg"
    assert response.headers["Content-Disposition"] == "attachment; filename*=utf-8''Str%C3%A4nde.jpg"
    assert response.headers["ETag"] == f'"{photo.sha256}"'
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["Accept-Ranges"] == "bytes"
    assert "Last-Modified" not in response.headers


def test_nginx_finds_the_file_of_every_key(nginx: str, session: requests.Session, photo: Photo) -> None:
    renditions = session.get(f"{nginx}/api/v1/photos/{photo.pk}").json()["renditions"]
    found = {one["kind"]: session.get(one["url"]) for one in renditions}
    assert {kind: response.content for kind, response in found.items()} == {
        "preview": b"picture",
        "thumb_300": b"small",
    }
    for response in found.values():
        assert response.headers["Cache-Control"] == "private, max-age=2592000, immutable"


def test_nginx_answers_for_ranges_and_darkroom_for_what_is_there(
    nginx: str, session: requests.Session, photo: Photo
) -> None:
    address = f"{nginx}/api/v1/photos/{photo.pk}/original"
    etag = f'"{photo.sha256}"'

    def ask(**headers: str) -> requests.Response:
        return session.get(address, headers={name.replace("_", "-"): value for name, value in headers.items()})

    part = ask(Range="bytes=1000-1003")
    assert (part.status_code, part.content) == (206, DATA[1000:1004])
    assert (part.headers["Content-Range"], part.headers["ETag"]) == ("bytes 1000-1003/1024", etag)
    resumed = ask(Range="bytes=1000-", If_Range=etag)
    assert (resumed.status_code, resumed.content) == (206, DATA[1000:])
    changed = ask(Range="bytes=1000-", If_Range='"another"')
    assert (changed.status_code, changed.content) == (200, DATA)
    assert ask(Range="bytes=1024-").status_code == 416
    several = ask(Range="bytes=0-1,5-6")
    assert (several.status_code, several.content) == (200, DATA)
    known = ask(If_None_Match=etag)
    assert (known.status_code, known.content, known.headers["ETag"]) == (304, b"", etag)
    head = session.head(address)
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", "1024")


def test_nobody_gets_behind_the_permission(nginx: str, session: requests.Session, photo: Photo) -> None:
    paths = [f"/_media/originals/{photo.storage_key}", f"/_media/renditions/{photo.storage_key}/preview.1.aaaa.jpg"]
    assert [session.get(nginx + path).status_code for path in paths] == [404, 404]
    anonymous = requests.get(f"{nginx}/api/v1/photos/{photo.pk}/original", timeout=nginx_server.PATIENCE_SECONDS)
    assert anonymous.status_code == 401


def test_the_log_of_nginx_has_no_token(
    nginx: str, session: requests.Session, member: tuple[Library, User], photo: Photo, tmp_path: Path
) -> None:
    _, token = shares.create_share(by=member[1], photo_ids=[photo.pk], options={})
    image = session.get(f"{nginx}/s/{token}/1/preview", headers={"Referer": f"{nginx}/s/{token}"})
    assert (image.status_code, image.content) == (200, b"picture")
    assert image.headers["Referrer-Policy"] == "no-referrer"
    assert image.headers["X-Robots-Tag"] == "noindex, nofollow, noarchive"
    assert image.headers["Content-Security-Policy"].startswith("default-src 'none'")
    written = (tmp_path / "access.log").read_text()
    assert '"GET /s/***/1/preview HTTP/1.1" 200 7' in written
    assert '"GET /live HTTP/1.1" 200' in written
    assert token not in written
