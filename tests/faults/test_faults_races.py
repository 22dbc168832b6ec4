"""Those who race in the harness: none of them may vanish, and none may keep the others waiting for ever."""

import io
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now

from accounts.models import Library
from faults import claim_race, orders, points
from faults.events import EventFile
from faults.orders import Order, OrderBook
from faults.storing import WRONG, Misbehaving, Store, Trouble
from faults.together import together
from faults.uploading import Acknowledged, Client, Upload, Uploader, unexplained
from photos.models import Photo
from processing import ledger
from processing.models import StageRun


def test_who_fails_beside_others_is_heard() -> None:
    met = threading.Barrier(2, timeout=10)

    def refused() -> str:
        met.wait()
        raise RuntimeError("409")

    def answered() -> str:
        met.wait()
        return "id"

    one, other = together(refused, answered)
    assert (str(one.error), one.result) == ("409", None)
    assert (other.error, other.result) == (None, "id")
    assert max(one.began, other.began) <= min(one.ended, other.ended)


def test_an_upload_that_nobody_took_in_is_said(tmp_path: Path) -> None:
    client = Client("http://127.0.0.1:1", email="", password="")
    uploader = Uploader(client, library="l", acknowledged=Acknowledged(tmp_path / "acknowledged.tsv"))
    uploader.requests += [Upload(t, 0.1, status, is_paced=False) for t, status in ((1, 500), (6, 201), (7, 503))]
    uploader.given_up += [(2.0, "a.jpg"), (8.0, "b.jpg")]
    assert unexplained([uploader], since=5, may_refuse=True) == ["b.jpg was never taken in"]
    assert unexplained([uploader], since=5, may_refuse=False) == [
        "b.jpg was never taken in",
        "an upload was answered with 503 after 0.1 s",
    ]
    assert unexplained([uploader], since=9, may_refuse=False) == []


def test_a_seed_decides_which_requests_go_wrong(tmp_path: Path) -> None:
    def answers(name: str, trouble: Trouble) -> list[bytes]:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        Store(folder).set(trouble)
        store = Misbehaving(folder, EventFile(folder / "injections.jsonl"), worker=lambda: "ingest1@faults")
        return [store.reading(lambda: b"bytes of a photo") for _ in range(20)]

    trouble = Trouble(kind=WRONG, share=0.5, seed=1)
    assert answers("a", trouble) == answers("b", trouble)
    assert answers("a", trouble) != answers("b", Trouble(kind=WRONG, share=0.5, seed=2))
    assert {event["worker"] for event in EventFile(tmp_path / "a" / "injections.jsonl").read()} == {"ingest1@faults"}


class _Named:
    def __init__(self, name: str, needs: str | None) -> None:
        self.name, self.needs = name, needs


def test_an_original_is_read_when_it_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_book", "_injections", "_history"):
        monkeypatch.setattr(points, name, None, raising=False)
    points.begin(tmp_path)
    book = OrderBook(tmp_path)

    def armed(stage: str) -> str:
        return book.arm(Order(fault="f", point="after_read", stage=stage, action=orders.RAISE))

    exif, detection = _Named("exif", None), _Named("face_detection", "renditions")
    name = armed("exif")
    assert points._around_load(lambda *_: "row", exif, None) == "row"
    opened: list[io.BytesIO] = []

    def open_original() -> io.BytesIO:
        opened.append(io.BytesIO())
        return opened[-1]

    # whoever reads one for a page is not a stage
    points._around_open_original(open_original)
    assert book.armed() == [name]
    with pytest.raises(RuntimeError, match="by order of the harness"):
        points._around_compute(lambda *_, **__: points._around_open_original(open_original), exif, None, version="1")
    assert (len(opened), book.armed()) == (2, [])
    armed("face_detection")
    with pytest.raises(RuntimeError, match="by order of the harness"):
        points._around_load(lambda *_: "bytes", detection, None)


@pytest.fixture
def photo(transactional_db: None) -> Photo:
    """A row whose bytes are nowhere."""
    return Photo.objects.create(
        library=Library.objects.create(name="races"), original_filename="1.jpg", sha256="0" * 64, byte_size=1000,
        image_format="JPEG", mime_type="image/jpeg", width=40, height=30, storage_alias="originals", storage_key="none",
    )  # fmt: skip


def test_of_many_claimers_one_wins(photo: Photo, capsys: pytest.CaptureFixture[str]) -> None:
    claim_race.main(4, 3)
    assert json.loads(capsys.readouterr().out) == {"winners": {"1": 4}, "commits": {"1": 4}}
    assert not StageRun.objects.exists()


def test_a_claim_that_two_can_win_is_counted_and_hangs_nobody(
    photo: Photo, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, lock = ledger.claim, threading.Lock()

    def stealing(**keywords: Any) -> list[ledger.Lease]:
        with lock:  # as if nobody else held it
            StageRun.objects.filter(stage=claim_race.STAGE).update(
                state="pending", queued_at=Now(), finished_at=None, lease_token=None, lease_until=None
            )
            return claim(**keywords)

    monkeypatch.setattr(ledger, "claim", stealing)
    monkeypatch.setattr(claim_race, "ROUND_SECONDS", 20.0)
    claim_race.main(2, 3)
    winners = json.loads(capsys.readouterr().out)["winners"]
    # a claimer that comes while another commits may still lose
    assert (sum(winners.values()), winners.keys() <= {"2", "3"}) == (2, True)


def test_a_claimer_that_breaks_ends_the_race(photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_keywords: Any) -> list[ledger.Lease]:
        raise ValueError("the claim is broken")

    monkeypatch.setattr(ledger, "claim", broken)
    with pytest.raises(ValueError, match="the claim is broken"):
        claim_race.main(2, 3)
    assert not StageRun.objects.exists()
