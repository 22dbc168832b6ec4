"""Uploads through a real server whose connections break: what arrives is what was sent, whatever was cut."""

import hashlib
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import factories
import pytest
import requests
import tus_requests as tus
from concurrency import in_a_thread
from django.db.models.functions import Now
from faults.proxy import PASS, Mode, Proxy
from PIL import Image
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError, TusUploadFailed
from upload_server import Server, send_and_break_off, serving, settled_offset, write_tiff

from accounts.models import Library, User
from accounts.services import api_keys
from photos import storage
from photos.models import Photo
from processing.models import Upload

pytestmark = pytest.mark.django_db(transaction=True)

MIB = 1024 * 1024
CUTS = 20


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def headers(library: Library) -> dict[str, str]:
    return with_key(factories.make_member(library, "editor"))


def with_key(user: User) -> dict[str, str]:
    """Log in by a key: a token would run out while 500 MB come in on a slow machine."""
    made = api_keys.create(owner=user, name="uploads", scopes=["photos.upload", "photos.view"])
    return {"X-API-Key": made.text}


@pytest.fixture
def on_disk(photo_store: Path, process_environment: dict[str, str]) -> dict[str, str]:
    """The environment of a server whose store is this test's."""
    stores = {"ORIGINALS_DIR": str(photo_store / "originals"), "RENDITIONS_DIR": str(photo_store / "renditions")}
    return process_environment | stores | {"UPLOAD_MAX_BYTES": str(600 * MIB), "DECODE_FILE_BYTES": str(600 * MIB)}


@pytest.fixture
def large_picture(tmp_path: Path, photo_store: Path) -> Iterator[Path]:
    """The path of a picture that is too large to be kept with what pytest keeps of tests; nor is what becomes of it."""
    yield tmp_path / "large.tiff"
    (tmp_path / "large.tiff").unlink(missing_ok=True)
    shutil.rmtree(photo_store, ignore_errors=True)


@pytest.fixture
def in_bucket(s3_storages: tuple[str, str], process_environment: dict[str, str]) -> dict[str, str]:
    """The environment of a server whose store are this test's buckets."""
    names = ("STORAGE_TYPE", "S3_BUCKET", "S3_THUMBNAIL_BUCKET")
    return process_environment | {
        name: value for name, value in os.environ.items() if name.startswith("AWS_") or name in names
    }


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def begin(server: Server, library: Library, headers: dict[str, str], length: int) -> str:
    given = {**tus.VERSION, **headers, "Upload-Length": str(length)}
    given["Upload-Metadata"] = tus.metadata(library=library.pk, filename="large.tiff")
    answer = requests.post(f"{server.url}{tus.UPLOADS}", headers=given, timeout=60)
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"]


def send_rest(address: str, file: Path, headers: dict[str, str], offset: int) -> requests.Response:
    given = {**tus.VERSION, **headers, "Upload-Offset": str(offset), "Content-Type": tus.OCTETS}
    with file.open("rb") as source:
        source.seek(offset)
        return requests.patch(address, headers=given, data=source, timeout=120)


def test_500_megabytes_that_are_cut_20_times_arrive(
    tmp_path: Path,
    on_disk: dict[str, str],
    library: Library,
    headers: dict[str, str],
    photo_store: Path,
    large_picture: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    picture, seed = large_picture, random.randrange(2**32)
    chance = random.Random(seed)
    write_tiff(picture, width=10_000, height=8_334, seed=seed)
    size, sha256 = picture.stat().st_size, sha256_of(picture)
    assert size == 500_040_140
    with Image.open(picture) as opened:
        assert (opened.format, opened.size, opened.mode) == ("TIFF", (10_000, 8_334), "RGB")
    cuts = sorted(chance.sample(range(1, size), CUTS))
    told, sent, cut_off = [], 0, 0
    with serving(on_disk, tmp_path / "web.log") as server:
        address = begin(server, library, headers, size)
        started = time.monotonic()
        offset = 0
        for cut in cuts:
            reset = chance.random() < 0.5
            # where a cut took more than the next one was away, that one comes a little later
            until = max(cut, offset + 1)
            send_and_break_off(address, picture, headers=headers, offset=offset, until=until, reset=reset)
            kept = settled_offset(address, headers=headers)
            assert offset <= kept <= until
            told.append(f"{until / 1e6:.1f}{'!' if reset else ''} ({(until - kept) / 1e6:.1f} lost)")
            sent, cut_off, offset = sent + until - offset, cut_off + 1, kept
        last = send_rest(address, picture, headers, offset)
        seconds = time.monotonic() - started
        sent += size - offset
        assert last.status_code == 204, last.text
        read = requests.get(last.headers["Content-Location"], headers=headers, timeout=60).json()

    photo = Photo.objects.get()
    assert cut_off == CUTS
    assert (last.headers["Darkroom-Photo"], read["id"]) == (str(photo.pk), str(photo.pk))
    assert (photo.sha256, photo.byte_size, read["sha256"]) == (sha256, size, sha256)
    assert (photo.image_format, photo.width, photo.height) == ("TIFF", 10_000, 8_334)
    [stored] = [path for path in (photo_store / "originals").rglob("*") if path.is_file()]
    assert stored == photo_store / "originals" / photo.storage_key
    assert sha256_of(stored) == sha256
    with capsys.disabled():
        print(  # noqa: T201
            f"\nA TIFF of {size:,} bytes (seed {seed}), cut {cut_off} times at MB {', '.join(told)}; ! with a reset. "
            f"{sent:,} bytes were sent in {seconds:.1f} s, the SHA-256 is that of the file: {sha256[:16]}…"
        )


@pytest.fixture
def proxied() -> Iterator[Callable[[Server], Proxy]]:
    """Put a proxy that can cut in front of a server."""
    made: list[Proxy] = []

    def put(server: Server) -> Proxy:
        host, port = server.url.removeprefix("http://").split(":")
        made.append(Proxy("upload", host, int(port)))
        return made[-1]

    yield put
    for one in made:
        one.close()


@pytest.mark.parametrize("store", ["disk", "s3"])
def test_a_client_of_the_protocol_resumes(
    store: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    library: Library,
    headers: dict[str, str],
    proxied: Callable[[Server], Proxy],
) -> None:
    """tuspy, which knows nothing of this server, behind a proxy that cuts: within bytes, and the last answer."""
    environment = request.getfixturevalue({"disk": "on_disk", "s3": "in_bucket"}[store])
    picture = tmp_path / "picture.tiff"
    write_tiff(picture, width=2000, height=2000, seed=5)
    chance = random.Random(11)
    with serving(environment, tmp_path / "web.log") as server, ExitStack() as opened:
        proxy = proxied(server)
        client = TusClient(f"{proxy.url}{tus.UPLOADS}", headers=headers)
        source = opened.enter_context(picture.open("rb"))
        uploader = client.uploader(file_stream=source, metadata={"library": str(library.pk), "filename": "a.tiff"})
        uploader.set_url(uploader.create_url())
        for _ in range(6):
            left = picture.stat().st_size - uploader.offset
            proxy.set(Mode(cut_request_after=chance.randrange(1000, left)))
            with pytest.raises(TusUploadFailed):
                uploader.upload()
            proxy.set(PASS)
            uploader.offset = settled_offset(uploader.url, headers=headers)
        assert 0 < uploader.offset < picture.stat().st_size
        assert Photo.objects.count() == 0
        # all of it comes in, and the answer does not come back
        proxy.set(Mode(cut_reply_after=1))
        with pytest.raises(TusUploadFailed):
            uploader.upload()
        proxy.set(PASS)
        uploader.offset = settled_offset(uploader.url, headers=headers)
        assert uploader.offset == picture.stat().st_size
        uploader.upload()  # finds nothing to do
        told = requests.head(uploader.url, headers={**tus.VERSION, **headers}, timeout=60).headers

    photo = Photo.objects.get()
    assert told["Darkroom-Photo"] == str(photo.pk)
    assert photo.sha256 == sha256_of(picture)
    with storage.open_object(alias="originals", key=photo.storage_key) as original:
        assert hashlib.file_digest(original, "sha256").hexdigest() == photo.sha256
    assert Upload.objects.get().stored == {}


def test_a_server_that_is_killed_loses_little(
    tmp_path: Path, on_disk: dict[str, str], library: Library, headers: dict[str, str]
) -> None:
    picture = tmp_path / "picture.tiff"
    write_tiff(picture, width=3000, height=3000, seed=6)
    with serving(on_disk, tmp_path / "web.log") as server:
        address = begin(server, library, headers, picture.stat().st_size)
        size = picture.stat().st_size
        sending = in_a_thread(send_and_break_off, address, picture, headers=headers, offset=0, until=size, pause=0.005)
        deadline = time.monotonic() + 60
        while Upload.objects.get().offset < 16 * MIB:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        server.kill()
        with pytest.raises(ConnectionError):
            sending.result(30)
    before = Upload.objects.get()
    assert before.lease_token is not None  # whoever had it never let go
    assert before.offset >= 16 * MIB
    with serving(on_disk, tmp_path / "web2.log") as server:
        address = f"{server.url}{tus.UPLOADS}/{before.pk}"
        locked = send_rest(address, picture, headers, before.offset)
        assert (locked.status_code, locked.json()["code"]) == (423, "upload_locked")
        # a few seconds of waiting are left out
        Upload.objects.update(lease_until=Now())
        assert settled_offset(address, headers=headers) == before.offset
        last = send_rest(address, picture, headers, before.offset)
    assert last.status_code == 204, last.text
    photo = Photo.objects.get()
    assert photo.sha256 == sha256_of(picture)
    with storage.open_object(alias="originals", key=photo.storage_key) as original:
        assert hashlib.file_digest(original, "sha256").hexdigest() == photo.sha256


def test_a_client_that_is_refused_is_told_in_the_protocol(
    tmp_path: Path, on_disk: dict[str, str], library: Library, headers: dict[str, str]
) -> None:
    wrong = BytesIO(b"no picture at all")
    with serving(on_disk, tmp_path / "web.log") as server:
        client = TusClient(f"{server.url}{tus.UPLOADS}", headers=headers)
        uploader = client.uploader(file_stream=wrong, metadata={"library": str(library.pk)}, upload_checksum=True)
        with pytest.raises(TusUploadFailed) as refused:
            uploader.upload()
        assert refused.value.status_code == 415
        with pytest.raises(TusCommunicationError):
            client.uploader(file_stream=wrong, metadata={"library": "unknown"}).upload()
    assert Photo.objects.count() == 0
