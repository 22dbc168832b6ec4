"""The plain pipeline, with which Darkroom is compared: its work is its own, and the yardstick is the same."""

import base64
import io
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import factories
import pytest
import redis
from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from faults import database, plain
from faults.database import Database
from faults.installation import ALL, PLAIN, Installation
from photos.models import Photo
from processing import publish
from processing.ingest import take_in
from processing.models import StageRun
from processing.pipeline import planning
from processing.stages import registry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def broker() -> Iterator[redis.Redis]:
    """The real broker, emptied before and after."""
    client = redis.Redis.from_url(settings.CELERY_BROKER_URL)
    client.flushdb()
    publish.forget_connection()
    yield client
    client.flushdb()
    client.close()


@pytest.fixture
def photo(photo_store: Path, broker: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Photo:
    """A photo that was uploaded to the plain pipeline."""
    monkeypatch.setattr(planning, "_ring", partial(plain._around_ring, planning._ring))
    library = factories.make_library(**factories.FACES_OFF)
    return take_in(library=library, file=io.BytesIO(factories.image_bytes()), filename="a.jpg").photo


def messages(broker: redis.Redis, queue: str) -> list[tuple[str, list[str]]]:
    """Give task and arguments of what lies in a queue."""
    found = [json.loads(one) for one in broker.lrange(queue, 0, -1)]
    return sorted((one["headers"]["task"], json.loads(base64.b64decode(one["body"]))[0]) for one in found)


def own_database(messages: dict[str, int] | None = None) -> Database:
    """Ask this test's database as the harness does that of an installation."""
    address = settings.DATABASE_URL.rpartition("/")[0] + "/" + connection.settings_dict["NAME"]
    return Database(lambda: address, messages=None if messages is None else lambda: messages)


def test_an_upload_sends_plain_messages_and_no_hint(photo: Photo, broker: redis.Redis) -> None:
    versions = {name: registry.get(name).planned_versions()[0] for name in ("exif", "renditions")}
    assert messages(broker, "ingest") == [("plain", [str(photo.pk), *one]) for one in versions.items()]
    assert not broker.exists("faces", "embeddings", "people", "maintenance")


def test_who_rings_in_a_plain_world_sends_what_it_listens_to(photo: Photo) -> None:
    version = registry.get("exif").planned_versions()[0]
    world = SimpleNamespace(parts=PLAIN, database=own_database())
    assert Installation.hints(world, "exif", [str(photo.pk)]) == [
        {"name": "plain", "args": [str(photo.pk), "exif", version]}
    ]
    assert Installation.hints(world, "exif") == []
    darkroom = SimpleNamespace(parts=ALL)
    assert Installation.hints(darkroom, "exif", ["a"]) == [{"name": "exif", "kwargs": {"v": 1, "ids": ["a"]}}]


def test_a_parent_that_runs_twice_is_counted_once(photo: Photo, broker: redis.Redis) -> None:
    child = StageRun.objects.create(photo=photo, stage="face_detection", version="v", state="waiting")
    for _ in range(2):
        plain.work(str(photo.pk), "renditions", registry.get("renditions").planned_versions()[0])
        StageRun.objects.filter(pk=child.pk).update(state="done", commits=1, finished_at=Now())
    with transaction.atomic():
        plain._send_children(str(photo.pk), "renditions", skip="")
    child.refresh_from_db()
    assert (child.state, child.commits) == ("pending", 0)
    assert photo.stage_runs.get(stage="renditions").commits == 2
    assert messages(broker, "faces") == [("plain", [str(photo.pk), "face_detection", "v"])] * 3


def test_it_is_at_rest_when_no_message_is_left_or_nothing_moves(photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "QUIET_SECONDS", 0.2)
    assert not own_database({"ingest": 0}).wait_until_settled(seconds=20)
    StageRun.objects.update(state="done", finished_at=Now(), queued_at=None)
    assert own_database({"ingest": 0, "unacked": 0}).wait_until_settled(seconds=20)
    assert own_database().wait_until_settled(seconds=20)
    # what a killed worker had in hand may do it all again
    assert not own_database({"ingest": 0, "unacked": 1}).wait_until_settled(seconds=20)
