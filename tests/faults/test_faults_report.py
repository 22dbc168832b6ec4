"""What the harness writes down: promises, and the report."""

import hashlib
import io
import json
from pathlib import Path

import pytest

from faults import report, storing
from faults.events import EventFile
from faults.installation import SHORT
from faults.points import wrap
from faults.report import Circumstances
from faults.runner import Result
from faults.storing import Misbehaving, Store, Trouble
from faults.uploading import Acknowledged

ZEROS = dict.fromkeys(("lost", "doubled", "wrong", "stuck", "leaked"), 0)


def result(name: str, **changed: object) -> Result:
    values = {
        "name": name, "title": "a title", "criterion": "a criterion", "times": 3, "photos": 4, "counts": ZEROS,
        "p50": 1.0, "p99": 2.0, "figure": "a figure", "passed": True, "seconds": 1.0,
    }  # fmt: skip
    return Result(**{**values, **changed})


def test_what_was_deleted_is_no_promise_any_more(tmp_path: Path) -> None:
    acknowledged = Acknowledged(tmp_path / "acknowledged.tsv")
    acknowledged.add(photo="a", sha256="1", library="l")
    acknowledged.add(photo="b", sha256="2", library="l")
    acknowledged.add(photo="a", sha256="1", library="l", is_deleted=True)
    acknowledged.add(photo="a", sha256="1", library="l")  # said to somebody who was heard late
    assert acknowledged.photos() == ["b"]
    assert acknowledged.for_prove().read_text() == "a\t1\tl\tdeleted\nb\t2\tl\n"
    acknowledged.forget()
    assert acknowledged.for_prove().read_text() == ""


def test_the_report_has_both_columns_and_every_section(tmp_path: Path) -> None:
    path = tmp_path / "faults.md"
    results = [result("child_kill"), result("redis_wipe", counts={**ZEROS, "stuck": 2})]
    circumstances = Circumstances(
        seed=1, photos=9, seconds=60, timing=SHORT, not_run=["`disk_full` was not run: it may not be."]
    )
    plain = {"child_kill": {**ZEROS, "lost": 0, "stuck": 7, "leaked": 1}}
    report.write(path, results, circumstances, plain=plain, sections=["## One\n\nfirst\n", ""])
    text = path.read_text()
    assert "| `child_kill` | 3 | 4 | 0 | 0 | 0 | 0 | 0 | 1.0 s | 2.0 s | pass | stuck 7, leaked 1 |" in text
    assert "| `redis_wipe` | 3 | 4 | 0 | 0 | 0 | 2 | 0 | 1.0 s | 2.0 s | **fail** | - |" in text
    assert "- FAILED: redis_wipe\n- `disk_full` was not run: it may not be.\n" in text
    assert report.section_of(path, "## One") == "## One\n\nfirst\n"
    assert report.section_of(path, "## Two") == ""

    report.replace_section(path, "## Two\n\nsecond\n")
    report.replace_section(path, "## One\n\nfirst, anew\n")
    assert report.section_of(path, "## One") == "## One\n\nfirst, anew\n"
    assert report.section_of(path, "## Two") == "## Two\n\nsecond\n"
    assert path.read_text().count("## One") == 1
    assert "| `child_kill` |" in path.read_text()


@pytest.mark.parametrize("kind", storing.KINDS)
def test_a_store_misbehaves_as_it_is_told(tmp_path: Path, kind: str, photo_store: Path) -> None:
    from django.core.files.base import ContentFile

    from photos import storage

    data = b"bytes of a photo" * 64
    store, injections = Misbehaving(tmp_path, EventFile(tmp_path / "injections.jsonl")), tmp_path / "injections.jsonl"
    switch = Store(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storing, "TIMEOUT_SECONDS", 0.01)
        # set as they are, so that they are put back afterwards
        patch.setattr(storage.objects, "storage_operation", storage.objects.storage_operation)
        patch.setattr(storage, "read_object", storage.read_object)
        wrap(storage.objects, "storage_operation", store.operation)
        wrap(storage, "read_object", store.reading)

        def write(key: str) -> None:
            storage.write_object(alias=storage.RENDITIONS, key=key, file=ContentFile(data))

        def read() -> bytes:
            return storage.read_object(alias=storage.RENDITIONS, key="a/good")

        write("a/good")
        assert read() == data
        assert not injections.exists()
        switch.set(Trouble(kind=kind, share=1.0))
        if kind in storing.LOSE_REPLIES:
            with pytest.raises(Exception, match=r"by order of the harness|SlowDown"):
                write("a/troubled")
        else:
            write("a/troubled")
        if kind in storing.FAIL:
            with pytest.raises(Exception, match=r"by order of the harness|SlowDown"):
                read()
        elif kind == storing.SHORT:
            assert len(read()) < len(data)
        elif kind == storing.WRONG:
            spoiled = read()
            assert (len(spoiled), sum(a != b for a, b in zip(spoiled, data, strict=True))) == (len(data), 1)
        else:
            assert read() == data
        switch.set(None)
        assert read() == data
    stored = photo_store / "renditions" / "a" / "troubled"
    # refused and hanging requests store nothing; one whose reply is lost has stored all
    assert stored.exists() == (kind not in storing.FAIL)
    assert {json.loads(line)["point"] for line in injections.read_text().splitlines()} == {kind}


def test_wrong_bytes_of_a_stream_are_wrong_too(tmp_path: Path) -> None:
    store = Misbehaving(tmp_path, EventFile(tmp_path / "injections.jsonl"))
    Store(tmp_path).set(Trouble(kind=storing.WRONG, share=1.0))
    spoiled = store.reading(lambda: io.BytesIO(b"stream" * 10)).read()
    assert hashlib.sha256(spoiled).digest() != hashlib.sha256(b"stream" * 10).digest()
    assert len(spoiled) == 60
