"""Scans: a damaged one is noticed although it decodes, and too many are not decoded at all."""

import io
import time
from pathlib import Path

import hostile_files
import pytest
from PIL import Image

from processing.engines import imaging
from processing.engines.errors import TooManyScansError
from processing.engines.imaging.scan_check import MAX_SCANS, find_scans


@pytest.fixture
def with_restarts() -> bytes:
    """A JPEG with a restart marker after every row of blocks."""
    picture = Image.effect_noise((160, 320), 60)
    target = io.BytesIO()
    picture.save(target, "JPEG", restart_marker_rows=1)
    return target.getvalue()


def test_a_sound_scan_has_no_warning(with_restarts: bytes) -> None:
    assert with_restarts.count(b"\xff\xd3") == 5
    assert find_scans(with_restarts).breaks == 0
    assert imaging.check_scans(io.BytesIO(with_restarts), image_format="JPEG") == ()


def test_a_missing_piece_is_noticed(with_restarts: bytes) -> None:
    start, end = with_restarts.index(b"\xff\xd2"), with_restarts.index(b"\xff\xd5")
    damaged = with_restarts[:start] + with_restarts[end:]
    [warning] = imaging.check_scans(io.BytesIO(damaged), image_format="JPEG")
    assert (warning.code, warning.field) == ("corrupt_scan", "pixels")
    assert warning.detail == "Parts of the picture are damaged: 1 breaks in the sequence of restart markers."


def test_fill_bytes_are_passed_over(with_restarts: bytes) -> None:
    filled = with_restarts.replace(b"\xff\xd3", b"\xff" * 9 + b"\xd3")
    assert len(filled) > len(with_restarts)
    assert find_scans(filled).breaks == 0


def test_a_long_row_of_fill_bytes_takes_no_time() -> None:
    """A pattern that passes over them needs a minute for as many."""
    started = time.process_time()
    assert find_scans(b"\xff\xd8" + b"\xff" * 200_000).breaks == 0
    assert time.process_time() - started < 1


def test_as_many_scans_as_may_be_are_decoded_and_one_more_is_not() -> None:
    own = find_scans(hostile_files.many_scans_jpeg(scans=0, size=(64, 48))).count
    assert 1 < own < MAX_SCANS
    most, too_many = (
        io.BytesIO(hostile_files.many_scans_jpeg(scans=MAX_SCANS - own + more, size=(64, 48))) for more in (0, 1)
    )
    assert imaging.check_scans(most, image_format="JPEG") == ()
    assert imaging.render(most, sizes={"preview": 64}, quality=80, max_pixels=64 * 48).width == 64
    with pytest.raises(TooManyScansError, match="More than 100 scans"):
        imaging.check_scans(too_many, image_format="JPEG")


def test_what_stands_behind_the_image_is_not_counted(with_restarts: bytes) -> None:
    """Cameras put films and second pictures there."""
    behind = hostile_files.many_scans_jpeg(scans=2 * MAX_SCANS, size=(64, 48))
    assert find_scans(with_restarts + behind).count == 1


def test_other_formats_are_not_read() -> None:
    file = io.BytesIO(b"not read")
    assert imaging.check_scans(file, image_format="PNG") == ()
    assert file.tell() == 0


def test_real_photos(shared_photos: Path) -> None:
    damaged = {
        path.relative_to(shared_photos).as_posix()
        for path in shared_photos.rglob("*")
        if path.suffix.lower() in {".jpg", ".jpeg"} and find_scans(path.read_bytes()).breaks
    }
    assert damaged == {"broken_exif/corrupted.jpg"}
