"""Fixtures that every test may ask for."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pytest_django import Settings

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED_PHOTOS = REPOSITORY.parent / "shared" / "photos"


@pytest.fixture(scope="session")
def shared_photos() -> Path:
    """The folder of real photos with expected values; it lies beside the checkout, not in it."""
    if not (SHARED_PHOTOS / "expected_exif.json").is_file():
        pytest.skip("the folder of real photos is not beside this checkout")
    return SHARED_PHOTOS


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
def process_environment(transactional_db: None) -> dict[str, str]:
    """The environment of a real worker or server: this test's database, and a broker that no other test uses."""
    from django.conf import settings
    from django.db import connection

    database = urlsplit(settings.DATABASE_URL)._replace(path=f"/{connection.settings_dict['NAME']}")
    broker = urlsplit(settings.REDIS_URL)._replace(path="/10")
    return os.environ | {
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
