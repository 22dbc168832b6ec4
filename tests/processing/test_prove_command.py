"""What `manage.py prove` says to a person, how it asks, waits and ends."""

import errno
import io
import json
import sqlite3
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import photo_samples
import proving
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from django.core.management import CommandError, call_command
from django.db import InterfaceError, OperationalError
from django.db.models.functions import Now

from accounts.models import Library
from photos import storage
from photos.models import Photo
from processing.models import RunState, StageRun, WorkerPresence

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store", "quick_ripening")]

HOUR = timedelta(hours=1)


class Terminal(io.StringIO):
    """A standard input that is a terminal, with one answer."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def finished(library: Library, count: int = 1) -> list[Photo]:
    photos = [photo_samples.take_in(library, photo_samples.picture()) for _ in range(count)]
    photo_samples.run_everything()
    return photos


def test_what_a_person_reads_when_all_is_sound(library: Library) -> None:
    finished(library, 2)
    status, text = proving.say()
    assert status == 0
    lines = text.splitlines()
    assert lines[0].startswith("2 photos, 6 runs, 10 stored objects; 0.0 MB read; ")
    assert [line.split()[:2] for line in lines if line.strip()][1:6] == [
        ["lost", "0"],
        ["doubled", "0"],
        ["wrong", "0"],
        ["stuck", "0"],
        ["leaked", "0"],
    ]
    assert len([line for line in lines if line.strip()]) == 6
    status, text = proving.say("--no-bytes")
    assert status == 0
    assert "no bytes read (--no-bytes)" in text
    assert "Presence and sizes are from the stores' listings; what lies in the objects was" in text


def test_offences_are_named_on_80_columns(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    photos = finished(library, 4)
    for photo in photos[:3]:
        photo.stage_runs.filter(stage="exif").delete()
    run = photo_samples.run_of(photos[3], "renditions")
    lease = {"lease_token": uuid.UUID(int=1), "lease_until": Now() - HOUR, "started_at": Now() - HOUR}
    StageRun.objects.filter(pk=run.pk).update(state=RunState.RUNNING, finished_at=None, commits=0, **lease)
    key = f"{library.pk}/{uuid.UUID(int=1)}/preview.1.0a1b2c3d4e5f6789.facenet-vggface2.0a1b2c3d.jpg"
    storage.write_object(alias=storage.RENDITIONS, key=key, file=photo_samples.content(b"x"))

    status, text = proving.say("--limit-ids", "2")

    assert status == 1
    assert max(len(line) for line in text.splitlines() if "object" not in line) <= 80
    assert "lost run_missing (3)\n  A stage that the photo should go through has no run. --repair plans it." in text
    first, second, third = sorted(str(photo.pk) for photo in photos[:3])
    assert f"  photo {first}\n    no run of exif (" in text
    assert f"  photo {second}\n" in text
    assert third not in text
    assert "  ... and 1 more (--limit-ids, or --json for all)\n" in text
    assert "stuck lease_expired (1)\n" in text
    assert f"  photo {photos[3].pk}\n  run {run.pk}\n    renditions: running, and its lease ended 3" in text
    assert "leaked object_unnamed (1)\n" in text
    # in one piece, so that it can be copied
    assert f"  photo {uuid.UUID(int=1)}\n  object renditions/{key}\n    1 byte, written 20" in text


def test_the_repair_says_what_it_is_going_to_do_and_asks(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    [photo] = finished(library)
    photo.stage_runs.filter(stage="exif").delete()
    with pytest.raises(CommandError, match="Nobody to ask: add --yes") as refused:
        proving.say("--repair")
    assert refused.value.returncode == 2
    with pytest.raises(CommandError, match="add --yes"):
        proving.prove("--repair")
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    status, text = proving.say("--repair")
    assert (status, photo.stage_runs.count()) == (1, 2)
    assert text.endswith("Repair\n  plan the missing runs of 1 photo\nDo this? [y/N] Nothing was done.\n")
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    status, text = proving.say("--repair")
    assert (status, photo.stage_runs.count()) == (1, 3)
    assert "Do this? [y/N] \nDone\n  1 run planned\nProve again when the workers have finished" in text
    photo_samples.run_everything()
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    assert proving.say("--repair")[0] == 0


def test_a_store_that_is_not_mounted_is_not_repaired(library: Library, photo_store: Path) -> None:
    finished(library)
    (photo_store / "renditions").rename(photo_store / "elsewhere")
    status, text = proving.say()
    assert status == 1
    assert "The store 'renditions' is empty, and rows name objects in it. Is it mounted?" in text
    with pytest.raises(CommandError, match="Not repaired: nothing lies in renditions") as refused:
        proving.say("--repair", "--yes")
    assert refused.value.returncode == 2
    assert set(StageRun.objects.values_list("stage", "state")) == {
        ("exif", "done"),
        ("place", "skipped"),
        ("renditions", "done"),
    }


def test_a_store_that_does_not_answer_proves_nothing(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    from processing.prove import contents

    finished(library)

    def read_object(**_: object) -> bytes:
        raise EndpointConnectionError(endpoint_url="http://store")

    monkeypatch.setattr(contents, "SECONDS_BETWEEN_TRIES", 0)
    monkeypatch.setattr(storage, "read_object", read_object)
    with pytest.raises(CommandError, match="The store 'renditions' does not answer") as refused:
        proving.say()
    assert refused.value.returncode == 2


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OSError(errno.EIO, "Input/output error"),
            "Cut off, and nothing is proved. OSError: [Errno 5] Input/output error",
        ),
        (
            EndpointConnectionError(endpoint_url="http://store"),
            "Cut off, and nothing is proved. EndpointConnectionError",
        ),
        (
            ClientError({"Error": {"Code": "500"}}, "ListObjectsV2"),
            "Cut off, and nothing is proved. ClientError: An error",
        ),
        (
            OperationalError("server closed the connection\nunexpectedly"),
            "OperationalError: server closed the connection",
        ),
        (InterfaceError("connection already closed"), "InterfaceError: connection already closed"),
        (sqlite3.OperationalError("database or disk is full"), "OperationalError: database or disk is full"),
        (KeyboardInterrupt(), "Interrupted, and nothing is proved."),
    ],
)
def test_what_cuts_a_proof_off_leaves_nothing_proved(
    library: Library, monkeypatch: pytest.MonkeyPatch, error: BaseException, said: str
) -> None:
    from processing.prove.objects import ObjectCheck

    def examine(*_: object) -> None:
        raise error

    finished(library)
    monkeypatch.setattr(ObjectCheck, "examine", examine)
    with pytest.raises(CommandError) as refused:
        proving.say()
    assert said in str(refused.value)
    assert (len(str(refused.value).splitlines()), refused.value.returncode) == (1, 2)


def test_a_repair_that_is_cut_off_has_said_its_plan_and_what_was_found(
    library: Library, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from processing.prove import remedies

    def plan_missing(**_: object) -> int:
        assert "Repair\n  plan the missing runs of 1 photo\n" in errors.getvalue()
        raise OperationalError("the database restarts")

    [photo] = finished(library)
    photo.stage_runs.filter(stage="exif").delete()
    monkeypatch.setattr(remedies, "plan_missing", plan_missing)
    output, errors = io.StringIO(), io.StringIO()
    with pytest.raises(CommandError, match="the database restarts") as refused:
        call_command("prove", "--json", "--repair", "--yes", stdout=output, stderr=errors)
    assert refused.value.returncode == 2
    said = json.loads(output.getvalue())
    assert said["repair"] == {"plan": ["plan the missing runs of 1 photo"], "done": None}
    assert [one["code"] for one in said["findings"]] == ["run_missing"]


def test_a_disk_that_goes_away_during_the_proof_proves_nothing(
    library: Library, photo_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from processing.prove import proof

    finished(library)
    look = proof._look

    def unmounting(*arguments: object) -> None:
        (photo_store / "renditions").rename(photo_store / "elsewhere")
        look(*arguments)

    monkeypatch.setattr(proof, "_look", unmounting)
    with pytest.raises(CommandError, match="Nothing lies in renditions any more") as refused:
        proving.say("--repair", "--yes")
    assert refused.value.returncode == 2
    assert set(StageRun.objects.values_list("stage", "state")) == {
        ("exif", "done"),
        ("place", "skipped"),
        ("renditions", "done"),
    }


def test_a_disk_that_goes_away_before_the_answer_is_not_repaired(
    library: Library, photo_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unmounting(Terminal):
        def readline(self) -> str:
            (photo_store / "renditions").rename(photo_store / "elsewhere")
            return "y\n"

    [photo] = finished(library)
    photo.stage_runs.filter(stage="exif").delete()
    monkeypatch.setattr(sys, "stdin", Unmounting())
    with pytest.raises(CommandError, match="Not repaired: nothing lies in renditions") as refused:
        proving.say("--repair")
    assert refused.value.returncode == 2
    assert photo.stage_runs.count() == 2


@pytest.mark.parametrize("text", ["7", "d", "7 d", "-1h", "1y"])
def test_a_grace_that_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="is not a time such as 90m, 12h, 7d or 2w"):
        call_command("prove", f"--grace={text}")


@pytest.fixture
def finishing_later(library: Library) -> Iterator[Photo]:
    """A photo whose runs are pending, with a worker that takes them up after a second."""
    from django.db import connection

    WorkerPresence.objects.create(name="slow", queues=["ingest"], versions={}, started_at=Now(), seen_at=Now() + HOUR)
    photo = photo_samples.take_in(library, photo_samples.picture())

    def work() -> None:
        time.sleep(1)
        photo_samples.run_everything()
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    yield photo
    thread.join()


def test_settling_waits_for_what_moves(finishing_later: Photo) -> None:
    started = time.monotonic()
    said = proving.prove("--settle", "60")
    assert (said.status, said.body["is_settled"], said.body["explained"]) == (0, True, {})
    assert time.monotonic() - started < 50
    assert set(finishing_later.stage_runs.values_list("stage", "state")) == {
        ("exif", "done"),
        ("place", "skipped"),
        ("renditions", "done"),
    }


def test_settling_ends_when_its_time_is_over(library: Library) -> None:
    photo_samples.take_in(library, photo_samples.picture())
    said = proving.prove("--settle", "0.5")
    assert (said.status, said.counts) == (2, proving.NOTHING)
    assert (said.body["is_settled"], said.body["is_sound"]) == (False, False)
    assert "Not settled after 0.5 s: something is still moving." in proving.say("--settle", "0.5")[1]
    assert proving.prove().body["is_settled"] is None


def test_nothing_to_prove(db: None) -> None:
    said = proving.prove("--no-bytes")
    assert (said.status, said.counts, said.body["photos"]) == (0, proving.NOTHING, 0)
