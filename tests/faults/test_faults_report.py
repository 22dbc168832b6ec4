"""What the harness writes down: promises, and the report."""

import argparse
import hashlib
import io
import json
import sys
from pathlib import Path

import pytest

from faults import __main__ as program
from faults import comparing, failing, report, sabotage, storing
from faults.aftermath import Aftermath
from faults.comparing import Compared
from faults.events import EventFile
from faults.failing import Trial
from faults.installation import SHORT, Timing
from faults.points import wrap
from faults.report import Circumstances
from faults.runner import Result
from faults.storing import Misbehaving, Store, Trouble
from faults.uploading import Acknowledged

ZEROS = dict.fromkeys(("lost", "doubled", "wrong", "stuck", "leaked"), 0)
NOTHING = Aftermath(counts=ZEROS, seconds=100, sweeps=0, unfinished=3)


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


def circumstances(**changed: object) -> Circumstances:
    values = {"seed": 1, "photos": 9, "seconds": 60.0, "timing": Timing(), "not_run": {}, "aftermath": NOTHING}
    return Circumstances(**{**values, **changed})


def test_the_report_has_both_columns_and_every_section(tmp_path: Path) -> None:
    path = tmp_path / "faults.md"
    results = [result("child_kill"), result("redis_wipe", counts={**ZEROS, "stuck": 2}, dead=1)]
    broken = result("redis_wipe", troubles=["TimeoutError: too | late"])
    plain = {
        "child_kill": Compared(result=result("child_kill", counts={**ZEROS, "stuck": 7, "leaked": 1}), messages=5),
        "redis_wipe": Compared(result=broken, messages=0),
    }
    sections = ["## One\n\nfirst\n", "", comparing.section(plain, stamp="2026-11-22, commit abc")]
    report.write(path, results, circumstances(), total_seconds=720, plain=plain, sections=sections)
    text = path.read_text()
    assert "| `child_kill` | 3 | 4 | 0 | 0 | 0 | 0 | 0 | 0 | 1.0 s | 2.0 s | pass | stuck 7, leaked 1 |" in text
    assert "| `redis_wipe` | 3 | 4 | 0 | 0 | 0 | 2 | 0 | 1 | 1.0 s | 2.0 s | **fail** | none (broke off) |" in text
    assert "| `child_kill` | 3 | 4 | 0 | 0 | 0 | 7 | 1 | 5 | 1.0 s | no |" in text
    assert "| `redis_wipe` | 3 | 4 | 0 | 0 | 0 | 0 | 0 | 0 | 1.0 s | TimeoutError: too / late |" in text
    assert "2026-11-22, commit abc.\n\nThe same faults" in text
    assert "the faults took 1 minutes, all of this run 12 minutes" in text
    assert report.section_of(path, "## One") == "## One\n\nfirst\n"
    assert report.section_of(path, "## Two") == ""

    report.replace_section(path, "## Two\n\nsecond\n")
    report.replace_section(path, "## One\n\nfirst, anew\n")
    assert report.section_of(path, "## One") == "## One\n\nfirst, anew\n"
    assert report.section_of(path, "## Two") == "## Two\n\nsecond\n"
    assert path.read_text().count("## One") == 1
    assert "| `child_kill` |" in path.read_text()


def written(path: Path, results: list[Result], run: Circumstances) -> str:
    report.write(path, results, run, total_seconds=60)
    return path.read_text()


def test_the_headline_says_what_was_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    green, red = [result("a")], [result("a"), result("b", passed=False)]
    left = Aftermath(counts={**ZEROS, "leaked": 1}, seconds=100, sweeps=0, unfinished=0)
    hidden = Aftermath(counts=ZEROS, seconds=100, sweeps=2, unfinished=0)
    assert "**Every fault passed (1), and nothing was left over.**" in written(path, green, circumstances())
    assert report.is_right(green, circumstances())
    for results, run, said in [
        (red, circumstances(), "**FAILED: b.**"),
        (green, circumstances(not_run={"disk_full": "it may not be"}), "**NOT RUN: disk_full.**"),
        (green, circumstances(aftermath=left), "**LEFT OVER after the last sweep.**"),
        (green, circumstances(aftermath=hidden), "**LEFT OVER after the last sweep.**"),
    ]:
        assert said in written(path, results, run)
        assert not report.is_right(results, run)


def test_what_is_many_by_its_nature_is_not_among_the_faults(tmp_path: Path) -> None:
    results = [result("child_kill", times=30), result("claim_race", times=1000), result("storage_trouble", times=400)]
    text = written(tmp_path / "report.md", results, circumstances())
    assert "9 photos acknowledged, 30 faults injected, and beside them 1,000 rounds of a race for one run, 400" in text


def test_the_limits_that_held_are_said(tmp_path: Path) -> None:
    assert "slack" not in written(tmp_path / "report.md", [result("a")], circumstances())
    short = written(tmp_path / "report.md", [result("a")], circumstances(timing=SHORT))
    assert "hard limit of a stage's task 20 s, 60 s of slack for every limit\n" in short
    assert "each was 60 s longer, and that of the p95 of uploads 3 s.\n" in short


RED = {
    sabotage.FENCING: {"counts": {**ZEROS, "doubled": 1}},
    sabotage.RECONCILER: {"counts": {**ZEROS, "stuck": 1}, "unsettled": 1, "passed": False},
    sabotage.COUNTING: {"figure": "2 runs lost, 2 counted wrong, 0 late", "passed": False},
    sabotage.UNIQUE: {"counts": {**ZEROS, "doubled": 2}},
}


@pytest.mark.parametrize("switch", RED)
def test_sabotage_must_be_red_by_what_was_switched_off(switch: str) -> None:
    green = result("a", figure="2 runs lost, 0 counted wrong")
    red = result("a", **RED[switch])
    assert Trial(switch, green, red).is_as_it_should_be
    assert not Trial(switch, red, red).is_as_it_should_be
    assert not Trial(switch, green, green).is_as_it_should_be
    # a red of another kind: the harness stumbled, or something else failed
    assert not Trial(switch, green, result("a", **{**RED[switch], "troubles": ["TimeoutError"]})).is_as_it_should_be
    assert not Trial(switch, green, result("a", passed=False, figure="0 counted wrong")).is_as_it_should_be
    assert not Trial(switch, green, result("a", counts={**ZEROS, "lost": 1})).is_as_it_should_be
    if switch != sabotage.RECONCILER:
        assert not Trial(switch, green, result("a", **{**RED[switch], "unsettled": 1})).is_as_it_should_be
    assert "NOT AS IT SHOULD BE (red by something else)" in failing.line(
        Trial(switch, green, result("a", passed=False))
    )


def options(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> argparse.Namespace:
    monkeypatch.setattr(sys, "argv", ["faults", "--folder", "run", *arguments])
    return program.read_options()


def test_the_report_of_the_repository_is_of_a_whole_run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Path("run") / "report.md"
    for arguments in ([], ["--seed", "2", "--count", "600"], ["--soak", "30"]):
        assert program.report_of(options(monkeypatch, *arguments)) == program.DOCUMENT
    for arguments in (
        ["--count", "10"], ["--short"], ["--faults", "disk_full"], ["--sabotage"], ["--soak", "2"],
    ):  # fmt: skip
        assert program.report_of(options(monkeypatch, *arguments)) == own
        assert program.report_of(options(monkeypatch, *arguments, "--report", "a.md")) == Path("a.md")


def test_a_mistyped_fault_is_said_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    monkeypatch.setattr(sys, "argv", ["faults", "--faults", "child_kil", "--folder", str(folder)])
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == 2
    assert "there is no fault child_kil: name some of child_kill, worker_kill," in capsys.readouterr().err
    assert not folder.exists()


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
