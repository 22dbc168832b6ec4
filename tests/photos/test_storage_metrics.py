from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from prometheus_client import REGISTRY

from photos import storage

pytestmark = pytest.mark.usefixtures("photo_store")


class Counted:
    """How far the counters have moved since this was made."""

    def __init__(self) -> None:
        self._before = self._now()

    def __call__(self) -> dict[str, float]:
        now = self._now()
        return {name: now[name] - self._before[name] for name in now if now[name] != self._before[name]}

    def _now(self) -> dict[str, float]:
        found = {}
        for operation in ("open", "read", "write", "delete"):
            labels = {"alias": "renditions", "operation": operation}
            for outcome in ("ok", "missing", "error"):
                count = REGISTRY.get_sample_value("darkroom_storage_seconds_count", labels | {"outcome": outcome})
                found[f"{operation} {outcome}"] = count or 0.0
            found[f"{operation} bytes"] = REGISTRY.get_sample_value("darkroom_storage_bytes_total", labels) or 0.0
        return found


def test_what_moves_is_counted_by_operation_and_outcome() -> None:
    counted = Counted()
    storage.write_object(alias="renditions", key="a/b.jpg", file=ContentFile(b"12345"))
    assert storage.read_object(alias="renditions", key="a/b.jpg") == b"12345"
    with storage.open_object(alias="renditions", key="a/b.jpg") as file:
        assert file.read(2) == b"12"
    storage.delete_objects(alias="renditions", keys=["a/b.jpg", "a/b.jpg"])
    assert counted() == {
        "write ok": 1, "write bytes": 5, "read ok": 1, "read bytes": 5, "open ok": 1, "delete ok": 2,
    }  # fmt: skip


def test_a_missing_object_is_not_an_error() -> None:
    counted = Counted()
    with pytest.raises(FileNotFoundError):
        storage.read_object(alias="renditions", key="nowhere.jpg")
    with pytest.raises(FileNotFoundError):
        storage.open_object(alias="renditions", key="nowhere.jpg")
    assert counted() == {"read missing": 1, "open missing": 1}


def test_a_disk_that_cannot_be_written_is_an_error(photo_store: Path) -> None:
    in_the_way = photo_store / "renditions" / "file"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_bytes(b"no folder")
    counted = Counted()
    with pytest.raises(FileExistsError):
        storage.write_object(alias="renditions", key="file/b.jpg", file=ContentFile(b"12345"))
    assert counted() == {"write error": 1}
    assert in_the_way.read_bytes() == b"no folder"
