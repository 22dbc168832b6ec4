"""The rules for files of strangers that no other test holds: what is opened, what it may cost, what it leaves."""

import ast
import io
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import hostile_files
import photo_samples
import pytest
from django.conf import settings
from django.test import override_settings
from PIL import Image

from accounts.models import Library
from photos import storage
from photos.models import Photo
from photos.problems import RefusedFileError
from processing import failures, losses
from processing.engines import errors, exif, imaging
from processing.engines.errors import EngineError
from processing.engines.imaging import time_limits
from processing.error_codes import EXPLANATIONS
from processing.models import StageRun
from processing.stages import exif as exif_stage
from processing.stages import originals

SIZES = {"preview": 1440, "thumb_300": 300}
PACKAGES = ("accounts", "config", "gallery", "photos", "processing")
# a hundred thousand frames in a second: none but the first is looked at
FRAMES = 100_000
FRAMES_CPU_SECONDS = 1.0

STRANGE = {
    "bmp": lambda: saved("BMP"),
    "ico": lambda: saved("ICO"),
    "ppm": lambda: saved("PPM"),
    "tga": lambda: saved("TGA"),
    "sgi": lambda: saved("SGI"),
    "dds": lambda: saved("DDS"),
    "pcx": lambda: saved("PCX"),
    "icns": lambda: saved("ICNS"),
    "jpeg2000": lambda: saved("JPEG2000"),
    "pdf": lambda: saved("PDF"),
    "eps": lambda: saved("EPS"),
    "psd": lambda: b"8BPS\x00\x01" + bytes(6) + b"\x00\x03\x00\x00\x00\x20\x00\x00\x00\x20\x00\x08\x00\x03" + bytes(99),
    "fits": lambda: b"SIMPLE  =                    T".ljust(2880),
    "svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "wmf": lambda: b"\xd7\xcd\xc6\x9a" + bytes(100),
    "jxl": lambda: b"\x00\x00\x00\x0cJXL \r\n\x87\n" + bytes(100),
    "mp4": lambda: b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp42" + bytes(100),
    "html": lambda: b"<!DOCTYPE html><script>alert(1)</script>",
}


def saved(image_format: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(buffer, image_format)
    return buffer.getvalue()


def rendered(data: bytes) -> imaging.RenditionSet:
    return imaging.render(io.BytesIO(data), sizes=SIZES, quality=80, max_pixels=settings.IMAGE_MAX_PIXELS)


@pytest.mark.parametrize("name", STRANGE)
def test_only_seven_formats_are_opened(library: Library, photo_store: Path, name: str) -> None:
    """Pillow reads most of these; each plugin that is not needed is attack surface."""
    data = STRANGE[name]()
    with pytest.raises(RefusedFileError) as refused:
        photo_samples.take_in(library, data)
    assert refused.value.code == "unsupported_format"
    assert (Photo.objects.count(), photo_samples.files_below(photo_store)) == (0, {})
    with pytest.raises(EngineError) as unsupported:
        rendered(data)
    assert unsupported.value.code == "unsupported_format"


def test_a_file_of_two_pictures_is_its_first_one() -> None:
    """MPO, which shares JPEG's signature; named in an allow-list it makes unknown files raise KeyError."""
    buffer = io.BytesIO()
    first, second = (Image.new("RGB", (60, 40), colour) for colour in ("red", "blue"))
    first.save(buffer, "MPO", save_all=True, append_images=[second])
    found = rendered(buffer.getvalue())
    assert (found.width, found.height) == (60, 40)
    assert imaging.decode_rgb(found.renditions[0].data)[20, 30].tolist() == pytest.approx([254, 0, 0], abs=3)
    with pytest.raises(EngineError) as damaged:
        rendered(b"\xff\xd8\xff\xe2" + b"MPF\x00 and nothing of the kind" * 9)
    assert damaged.value.code == "damaged"


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (hostile_files.many_frames_gif, (64, 48)),
        (hostile_files.many_frames_png, (1, 1)),
        (hostile_files.many_frames_webp, (1, 1)),
        (hostile_files.many_pages_tiff, (1, 1)),
    ],
    ids=["gif", "png", "webp", "tiff"],
)
def test_of_a_hundred_thousand_frames_the_first_is_looked_at(
    make: Callable[[int], bytes], size: tuple[int, int]
) -> None:
    imaging.load_decoders()
    data = make(FRAMES)
    started = time.process_time()
    header = imaging.read_header(io.BytesIO(data), max_pixels=settings.IMAGE_MAX_PIXELS)
    exif.read_metadata(io.BytesIO(data), image_format=header.format)
    found = rendered(data)
    assert time.process_time() - started < FRAMES_CPU_SECONDS
    assert (header.width, header.height) == (found.width, found.height) == size


def test_an_endless_loop_of_exif_directories_ends_soon() -> None:
    data = hostile_files.exif_loop()
    started = time.process_time()
    found = exif.read_metadata(io.BytesIO(data), image_format="JPEG")
    assert time.process_time() - started < 1
    assert found.make is None
    assert (rendered(data).width, rendered(data).height) == (64, 48)


def armed() -> tuple[float, float]:
    return signal.getitimer(signal.ITIMER_PROF)[0], signal.getitimer(signal.ITIMER_REAL)[0]


@pytest.fixture
def ending_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process says that it may be ended, as a pool child does; its own timer goes on afterwards."""
    before = signal.setitimer(signal.ITIMER_REAL, 0)
    monkeypatch.setattr(time_limits, "_ends_by_signal", True)
    monkeypatch.setattr(time_limits.os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    with override_settings(DECODE_CPU_SECONDS=150, DECODE_WALL_SECONDS=600):
        yield
    signal.setitimer(signal.ITIMER_REAL, *before)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("photo_store", "ending_process")
def test_each_file_has_its_own_time_for_its_tags(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three files in one task: each has the whole allowance of the smallest, and nothing runs on after it."""
    photos = [photo_samples.take_in(library, photo_samples.picture()) for _ in range(3)]
    seen = []

    def spend(file: BinaryIO, *, image_format: str) -> exif.PhotoMetadata:
        seen.append(armed())
        signal.setitimer(signal.ITIMER_PROF, 9)  # as if the rest were spent
        return read(file, image_format=image_format)

    read = exif.read_metadata
    monkeypatch.setattr(exif_stage.exif, "read_metadata", spend)
    assert photo_samples.run("exif") == len(photos)
    assert armed() == (0, 0)
    least = (settings.DECODE_CPU_SECONDS / 20, settings.DECODE_WALL_SECONDS / 20)
    assert len(seen) == len(photos)
    for one in seen:
        assert one == pytest.approx(least, rel=0.1)


@pytest.mark.django_db
@pytest.mark.usefixtures("photo_store", "ending_process")
def test_time_is_given_for_what_is_decoded_and_not_for_what_is_shown(library: Library) -> None:
    data = hostile_files.cropped_heic((2999, 1999), shown=(11, 7))
    photo = photo_samples.take_in(library, data)
    assert (photo.width, photo.height) == (11, 7)
    with originals.open_original(photo) as file:
        assert file.read() == data
        cpu, wall = armed()
    share = 1 / 20 + 19 / 20 * (3000 * 2000 / settings.IMAGE_MAX_PIXELS)
    assert (cpu, wall) == pytest.approx(
        (share * settings.DECODE_CPU_SECONDS, share * settings.DECODE_WALL_SECONDS), rel=0.1
    )
    assert armed() == (0, 0)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["../../../etc/passwd", "..\\..\\boot.ini", "a\x00.jpg"])
def test_a_strangers_name_is_no_part_of_a_key(library: Library, photo_store: Path, name: str) -> None:
    photo = photo_samples.take_in(library, photo_samples.picture(), filename=name)
    assert photo.storage_key == f"{library.pk}/{photo.pk}"
    photo_samples.run("renditions")
    assert photo.renditions.count() == len(settings.RENDITION_SIZES)
    inside = f"{library.pk}/{photo.pk}"
    files = photo_samples.files_below(photo_store)
    assert len(files) == 1 + len(settings.RENDITION_SIZES)
    assert all(path.removeprefix("originals/").removeprefix("renditions/").startswith(inside) for path in files)


@pytest.mark.django_db(transaction=True)
def test_a_truncated_photo_is_damaged_at_once_and_kept(library: Library, photo_store: Path) -> None:
    data = photo_samples.damaged_picture()
    photo = photo_samples.take_in(library, data)
    assert photo_samples.run("renditions") == 1
    run = photo_samples.run_of(photo, "renditions")
    assert (run.state, run.error_code, run.attempt) == ("dead", "damaged", 1)
    assert storage.read_object(alias=photo.storage_alias, key=photo.storage_key) == data
    assert not photo.renditions.exists()
    assert StageRun.objects.filter(photo=photo, state="running").count() == 0


def calls_in_our_code(name: str) -> Iterator[tuple[str, ast.Call]]:
    """Every call of a function of that dotted name."""
    for package in PACKAGES:
        for path in sorted((settings.BASE_DIR / package).rglob("*.py")):
            text = path.read_text()
            if name.rpartition(".")[2] not in text:
                continue
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == name:
                    yield f"{path.relative_to(settings.BASE_DIR)}:{node.lineno}", node


def keywords(call: ast.Call) -> dict[str | None, str]:
    return {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}


def test_no_picture_is_opened_without_an_allow_list() -> None:
    calls = dict(calls_in_our_code("Image.open"))
    assert len(calls) >= 2
    assert [place for place, call in calls.items() if "formats" not in keywords(call)] == []
    assert not any("MPO" in keywords(call)["formats"] for call in calls.values())


def test_libheif_is_asked_at_one_place() -> None:
    """Behind the door's own check of format and size; nowhere does Pillow learn to open HEIF by itself."""
    (place,) = dict(calls_in_our_code("pillow_heif.HeifImageFile"))
    assert place.startswith("processing/engines/imaging/decoding.py:")
    sources = [path for package in PACKAGES for path in (settings.BASE_DIR / package).rglob("*.py")]
    others = re.compile(r"register_(heif|avif)_opener|(open|read)_heif|import HeifImageFile")
    assert [path for path in sources if others.search(path.read_text())] == []


def test_no_weights_are_unpickled() -> None:
    calls = dict(calls_in_our_code("torch.load"))
    assert len(calls) >= 1
    assert [place for place, call in calls.items() if keywords(call).get("weights_only") != "True"] == []
    for loader in ("pickle.load", "pickle.loads", "torch.jit.load", "joblib.load"):
        assert dict(calls_in_our_code(loader)) == {}
    arrays = dict(calls_in_our_code("np.load"))
    assert [place for place, call in arrays.items() if keywords(call).get("allow_pickle", "False") != "False"] == []


def test_truncated_pictures_are_never_made_whole() -> None:
    sources = [path for package in PACKAGES for path in (settings.BASE_DIR / package).rglob("*.py")]
    assert len(sources) > 100
    assert [path for path in sources if "LOAD_TRUNCATED_IMAGES" in path.read_text()] == []


def test_every_error_code_has_a_remedy_and_its_line_in_the_operators_guide() -> None:
    guide = (settings.BASE_DIR / "docs" / "dead-letters.md").read_text()
    table = guide[guide.index("| error code |") :].split("\n\n")[0]
    rows = [[cell.strip() for cell in row.split("|")[1:4]] for row in table.splitlines()[2:]]
    told = {code: said for codes, *said in rows for code in re.findall(r"`([a-z_]+)`", codes)}
    assert {code: [one.replace("`", "") for one in said] for code, said in told.items()} == {
        code: [one.meaning, one.remedy] for code, one in EXPLANATIONS.items()
    }
    found = {value for name, value in vars(losses).items() if name.isupper() and isinstance(value, str)}
    # of these, the first is the class of all others, and the others are said by commands
    of_engines = {one.code for one in vars(errors).values() if isinstance(one, type) and issubclass(one, EngineError)}
    found |= of_engines - {"engine_error", "weights_unavailable", "conversion_failed"}
    found |= set(
        re.findall(r'Failure\(Fault\.\w+, "(\w+)"', (settings.BASE_DIR / "processing/failures.py").read_text())
    )
    found |= {failures.DATABASE_UNAVAILABLE, "timed_out", "lease_expired", "input_missing", "wrong_bytes"}
    assert len(found) > 15
    assert found == set(EXPLANATIONS)
