"""Fixtures that every test may ask for."""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import numpy as np
import pytest
from pytest_django import Settings
from real_photos import REAL_PHOTOS, REPOSITORY

# a shell has what it runs in the background pass over Ctrl-C, and every process that tests start would inherit that
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_photos() -> Path:
    """The folder of real photos with expected values; it lies beside the checkout, not in it."""
    if not (REAL_PHOTOS / "expected_exif.json").is_file():
        pytest.skip(f"the real photos are not in {REAL_PHOTOS}: name their folder by REAL_PHOTOS=")
    return REAL_PHOTOS


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """Find a program of this host by its name; skips the test where there is none.

    With DARKROOM_INSIST_ON_PROGRAMS=1, as where everything was installed, a missing one is a failure.
    """

    def find(name: str) -> str:
        found = shutil.which(name)
        if found is None and os.environ.get("DARKROOM_INSIST_ON_PROGRAMS") == "1":
            pytest.fail(f"the program {name} is not installed, and DARKROOM_INSIST_ON_PROGRAMS is 1")
        if found is None:
            pytest.skip(f"the program {name} is not installed")
        return found

    return find


@pytest.fixture
def photo_store(settings: Settings, tmp_path: Path) -> Path:
    """An empty folder of this test's own, below which the originals and renditions lie."""
    folder = tmp_path / "photo_store"
    stores = {
        alias: {**settings.STORAGES[alias], "OPTIONS": {"location": str(folder / alias)}}
        for alias in ("originals", "renditions")
    }
    settings.STORAGES = {**settings.STORAGES, **stores}
    return folder


@pytest.fixture
def process_environment(transactional_db: None, environment_of_processes: dict[str, str]) -> dict[str, str]:
    """The environment of a real worker or server: this test's database, and a broker that no other test uses."""
    return os.environ | environment_of_processes


@pytest.fixture(scope="session")
def environment_of_processes(django_db_setup: None) -> dict[str, str]:
    """What that adds, for a process that serves several tests, each of which has to ask for `transactional_db`."""
    from django.conf import settings
    from django.db import connection

    database = urlsplit(settings.DATABASE_URL)._replace(path=f"/{connection.settings_dict['NAME']}")
    broker = urlsplit(settings.REDIS_URL)._replace(path="/10")
    return {
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
        "DATABASE_URL": database.geturl(),
        "REDIS_URL": broker.geturl(),
        "PYTHONWARNINGS": "default",
    }


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of 127.0.0.1 that refuses connections: taken, so that nobody else listens on it meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port of 127.0.0.1 that takes connections and never says a word, as a host that hangs."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield listening.getsockname()[1]


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A tiny image and text model of the true layout, installed below `folder`/models, and what open_clip gives.

    Made in a process of its own, for importing torch takes ten seconds, and kept between sessions for as long as the
    code that makes it stays: see `clip_reference.py`.
    """
    from django.conf import settings

    script = REPOSITORY / "tests" / "clip_reference.py"
    engines = REPOSITORY / "processing" / "engines"
    made_by = [script, *sorted(engines.glob("*.py")), *sorted((engines / "image_text").glob("*.py"))]
    made_of = hashlib.sha256(b"".join(path.read_bytes() for path in made_by)).hexdigest()[:12]
    folder = settings.BASE_DIR / "var" / f"test-clip-{made_of}"
    if not folder.exists():
        making = tmp_path_factory.mktemp("clip")
        # no address of a proxy or of Hugging Face: nothing is to be fetched
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY), "HOME": str(making)}
        command = [sys.executable, script, making]
        done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        folder.parent.mkdir(exist_ok=True)
        shutil.copytree(making, made := folder.with_name(f"{folder.name}.{uuid.uuid4().hex}"))
        made.rename(folder)
    with np.load(folder / "arrays.npz") as arrays:
        return {"folder": folder, **json.loads((folder / "facts.json").read_text()), **arrays}


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An S3 endpoint in a process of its own: moto's server."""
    log = tmp_path_factory.mktemp("moto") / "log"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 60
        while (listening := re.search(r"Running on (http://127\.0\.0\.1:\d+)", log.read_text())) is None:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield listening[1]
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture
def s3_storages(s3_endpoint: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Originals and renditions in two new buckets, as the settings make them of the environment; gives their names."""
    buckets = (f"originals-{uuid.uuid4()}", f"thumbnails-{uuid.uuid4()}")
    environment = {
        "STORAGE_TYPE": "s3",
        "S3_BUCKET": buckets[0],
        "S3_THUMBNAIL_BUCKET": buckets[1],
        "AWS_S3_ENDPOINT_URL": s3_endpoint,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    for bucket in buckets:
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    spec = importlib.util.spec_from_file_location("s3_settings", REPOSITORY / "config" / "settings" / "storage.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    settings.STORAGES = {**settings.STORAGES, **module.photo_storages()}
    return buckets
