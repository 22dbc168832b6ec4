from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from moto.server import ThreadedMotoServer
from pytest_django import Settings

from config.settings import storage as storage_settings
from photos.storage_probe import probe_folder, probe_store


def test_a_disk_tells_its_room(photo_store: Path) -> None:
    state = probe_store("originals")
    assert (state.kind, state.location) == ("disk", str(photo_store / "originals"))
    assert 0 < state.free_bytes < state.total_bytes
    assert not photo_store.exists()


def test_the_nearest_folder_is_tried(tmp_path: Path) -> None:
    assert probe_folder(tmp_path / "not" / "yet") == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_folder_is_an_error() -> None:
    with pytest.raises(OSError, match="Not a directory"):
        probe_folder(Path("/dev/full/photos"))


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An S3 endpoint with one bucket, `here`."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys("key", "secret"))
    client.create_bucket(Bucket="here")
    yield url
    server.stop()


def keys(key: str, secret: str) -> dict[str, str]:
    return {"aws_access_key_id": key, "aws_secret_access_key": secret}


def use_bucket(settings: Settings, bucket: str, endpoint: str) -> None:
    store = storage_settings._s3(bucket, "originals")
    reach = {"endpoint_url": endpoint, "access_key": "key", "secret_key": "secret"}
    settings.STORAGES = {**settings.STORAGES, "originals": {**store, "OPTIONS": {**store["OPTIONS"], **reach}}}


def test_a_bucket_that_is_there(settings: Settings, endpoint: str) -> None:
    use_bucket(settings, "here", endpoint)
    state = probe_store("originals")
    assert (state.kind, state.location, state.free_bytes) == ("s3", "here", None)


def test_a_bucket_that_is_not(settings: Settings, endpoint: str) -> None:
    use_bucket(settings, "elsewhere", endpoint)
    with pytest.raises(ClientError, match="Not Found"):
        probe_store("originals")


def test_an_endpoint_that_does_not_answer(settings: Settings, closed_port: int) -> None:
    use_bucket(settings, "here", f"http://127.0.0.1:{closed_port}")
    with pytest.raises(BotoCoreError, match="Could not connect to the endpoint URL"):
        probe_store("originals")
