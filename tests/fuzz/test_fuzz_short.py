"""A short run of `make fuzz`, and of what it must notice to be worth anything."""

import faulthandler
import os
import signal
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import fuzz
import fuzz_mutations
import fuzz_outcomes
import fuzz_samples
import pytest
from fuzz_mutations import MUTATIONS, plan
from fuzz_outcomes import Outcome

from processing.engines import imaging

COUNT = 300

# the children touch none of the locks that the threads of BLAS libraries may hold
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Small pictures in every format, and the small ones of the real photos where they are."""
    made = fuzz_samples.write_samples(tmp_path_factory.mktemp("samples"))
    if not fuzz_samples.REAL_PHOTOS.is_dir():
        return made
    real = fuzz_samples.sample_files(None, generated=Path())
    return made + [path for path in real if path.stat().st_size < 60_000]


def test_every_mutated_file_ends_in_a_named_state(samples: list[Path], tmp_path: Path) -> None:
    cases = plan(samples, count=COUNT, seed=7)
    report = fuzz.run(cases, seed=7, samples=samples, processes=2, kept=tmp_path / "kept")
    assert report.bad == []
    assert not (tmp_path / "kept").exists()
    states = {state: counts for state, counts in totals(report).items() if counts}
    assert sum(states.values()) == len(samples) + COUNT
    assert set(states) <= {"done", "refused", "error", "stopped"}
    # and it was not all the same to the engines
    assert min(states["done"], states["refused"], states["error"]) > COUNT // 20
    assert set(report.by_kind) == {"unchanged", "truncated", *MUTATIONS}


def totals(report: fuzz.Report) -> dict[str, int]:
    found: dict[str, int] = {}
    for counts in report.by_kind.values():
        for state, count in counts.items():
            found[state] = found.get(state, 0) + count
    return found


@dataclass(frozen=True)
class Fault:
    """What an engine does, and how that must be called."""

    act: Callable[[], object]
    state: str
    code: str


def crash_in_silence() -> None:
    faulthandler.disable()  # pytest's, whose story of it would stand among the results
    os.kill(os.getpid(), signal.SIGSEGV)


FAULTS = {
    "unnamed error": Fault(lambda: 1 / 0, "UNNAMED", "ZeroDivisionError"),
    "segfault": Fault(crash_in_silence, "CRASHED", "process_crashed"),
    "killed": Fault(lambda: os.kill(os.getpid(), signal.SIGKILL), "CRASHED", "process_killed"),
    "exit": Fault(lambda: os._exit(1), "CRASHED", "worker_lost"),
    "limit": Fault(lambda: os.kill(os.getpid(), signal.SIGALRM), "stopped", "decode_timed_out"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_what_goes_wrong_is_noticed_and_kept(
    samples: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    """The engines break on the files of an odd length; the others are examined all the same."""
    imaging.load_decoders()
    rendered = imaging.render

    def render(file: object, **options: object) -> imaging.RenditionSet:
        if file.seek(0, os.SEEK_END) % 2:
            fault.act()
        return rendered(file, **options)

    monkeypatch.setattr(fuzz_outcomes.imaging, "render", render, raising=False)
    good = [path for path in samples if path.suffix in {".png", ".jpg"}][:6]
    odd = sum(path.stat().st_size % 2 for path in good)
    cases = plan(good, count=12, seed=1)[:6]
    report = fuzz.run(cases, seed=1, samples=good, processes=2, kept=tmp_path)
    assert [case.kind for case in cases] == ["unchanged"] * 6
    assert report.by_code == {(fault.state, fault.code): odd, ("done", ""): 6 - odd}
    is_bad = fault.state in fuzz_outcomes.BAD
    assert len(report.bad) == len(list(tmp_path.iterdir())) == (odd if is_bad else 0)
    for case, _outcome in report.bad:
        assert (tmp_path / f"seed1-{case.number}{case.sample.suffix}").read_bytes() == case.sample.read_bytes()


def test_every_sample_is_tried_as_it_is_beside_the_mutated_files(samples: list[Path]) -> None:
    cases = plan(samples, count=10, seed=1)
    assert [case.sample for case in cases if case.kind == "unchanged"] == samples
    assert len(cases) == len(samples) + 10
    assert [case.number for case in cases] == list(range(len(cases)))


def test_every_sample_is_cut_before_one_is_cut_twice(samples: list[Path]) -> None:
    places = {path: set(range(1024, path.stat().st_size, 1024)) for path in samples}
    assert fuzz_mutations.cuttable(samples) == sum(map(len, places.values()))
    for count in (100, 100_000):
        cuts: dict[Path, list[int]] = {path: [] for path in samples}
        for case in plan(samples, count=count, seed=2):
            if case.kind == "truncated":
                cuts[case.sample].append(case.cut)
        most = max(map(len, cuts.values()))
        for path, chosen in cuts.items():
            assert len(set(chosen)) == len(chosen)
            assert set(chosen) <= places[path]
            assert len(chosen) in {most - 1, most, len(places[path])}
    assert {path: set(chosen) for path, chosen in cuts.items()} == places


@pytest.mark.parametrize("kind", MUTATIONS)
def test_a_file_of_one_byte_can_be_mutated(tmp_path: Path, kind: str) -> None:
    sample = tmp_path / "byte.jpg"
    sample.write_bytes(b"\xff")
    for number in range(20):
        case = fuzz_mutations.Case(number=number, sample=sample, kind=kind)
        assert isinstance(case.make(seed=1, samples=[sample]), bytes)


def test_a_file_that_sends_its_reader_beyond_every_file_has_a_name(tmp_path: Path) -> None:
    """A picture whose item of EXIF begins where no file of ext4 has a byte."""
    fuzz_samples.write_samples(tmp_path)
    data = bytearray((tmp_path / "still.heic").read_bytes())
    assert fuzz_outcomes.examine(bytes(data)).state == "done"
    start = data.index(b"iloc") + 8
    # version 0 has bases and offsets of four bytes each; here are offsets of eight, and no bases
    sizes, items, picture, _, base, one, offset, length = struct.unpack_from(">HHHHIHII", data, start)
    assert (sizes, items, one) == (0x4440, 2, 1)
    struct.pack_into(">HHHHHQI", data, start, 0x8400, items, picture, 0, one, base + offset, length)
    exif, _ = struct.unpack_from(">HH", data, start + 22)
    struct.pack_into(">HHHQI", data, start + 22, exif, 0, one, 2**60, 100)
    outcome = fuzz_outcomes.examine(bytes(data))
    assert outcome.state in {"done", "error"}, outcome.story


def test_the_same_seed_gives_the_same_files(samples: list[Path]) -> None:
    cases = plan(samples, count=200, seed=3)
    assert cases == plan(samples, count=200, seed=3)
    assert cases != plan(samples, count=200, seed=4)
    again = plan(samples, count=200, seed=3)
    for case, other in zip(cases, again, strict=True):
        assert case.make(seed=3, samples=samples) == other.make(seed=3, samples=samples)


def test_mutations_change_files(samples: list[Path]) -> None:
    changed = dict.fromkeys(MUTATIONS, 0)
    cases = [case for case in plan(samples, count=400, seed=5) if case.kind in MUTATIONS]
    for case in cases:
        changed[case.kind] += case.make(seed=5, samples=samples) != case.sample.read_bytes()
    assert min(changed.values()) > 10


def test_lengths_are_found_in_every_format(samples: list[Path]) -> None:
    for path in samples:
        if path.suffix not in {".gif", ".txt"} and path.parent.name != "formats":
            assert len(fuzz_mutations.length_fields(path.read_bytes())) > 3, path


def test_a_death_has_the_name_that_the_worker_gives_it() -> None:
    assert fuzz_outcomes.of_death(-signal.SIGPROF) == Outcome("stopped", "decode_cpu_exceeded")
    crash = fuzz_outcomes.of_death(-signal.SIGBUS)
    assert (crash.state, crash.code) == ("CRASHED", "process_crashed")
