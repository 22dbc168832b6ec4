"""Restart markers: a damaged scan is noticed although it decodes."""

import io
import time
from pathlib import Path

import pytest
from PIL import Image

from processing.engines import imaging
from processing.engines.imaging.scan_check import restart_breaks


@pytest.fixture
def with_restarts() -> bytes:
    """A JPEG with a restart marker after every row of blocks."""
    picture = Image.effect_noise((160, 320), 60)
    target = io.BytesIO()
    picture.save(target, "JPEG", restart_marker_rows=1)
    return target.getvalue()


def test_a_sound_scan_has_no_warning(with_restarts: bytes) -> None:
    assert with_restarts.count(b"\xff\xd3") == 5
    assert restart_breaks(with_restarts) == 0
    assert imaging.pixel_warnings(io.BytesIO(with_restarts), image_format="JPEG") == ()


def test_a_missing_piece_is_noticed(with_restarts: bytes) -> None:
    start, end = with_restarts.index(b"\xff\xd2"), with_restarts.index(b"\xff\xd5")
    damaged = with_restarts[:start] + with_restarts[end:]
    [warning] = imaging.pixel_warnings(io.BytesIO(damaged), image_format="JPEG")
    assert (warning.code, warning.field) == ("corrupt_scan", "pixels")
    assert warning.detail == "Parts of the picture are damaged: 1 breaks in the sequence of restart markers."


def test_fill_bytes_are_passed_over(with_restarts: bytes) -> None:
    filled = with_restarts.replace(b"\xff\xd3", b"\xff" * 9 + b"\xd3")
    assert len(filled) > len(with_restarts)
    assert restart_breaks(filled) == 0


def test_a_long_row_of_fill_bytes_takes_no_time() -> None:
    """A pattern that passes over them needs a minute for as many."""
    started = time.process_time()
    assert restart_breaks(b"\xff\xd8" + b"\xff" * 200_000) == 0
    assert time.process_time() - started < 1


def test_other_formats_are_not_read() -> None:
    file = io.BytesIO(b"not read")
    assert imaging.pixel_warnings(file, image_format="PNG") == ()
    assert file.tell() == 0


def test_real_photos(shared_photos: Path) -> None:
    damaged = {
        path.relative_to(shared_photos).as_posix()
        for path in shared_photos.rglob("*")
        if path.suffix.lower() in {".jpg", ".jpeg"} and restart_breaks(path.read_bytes())
    }
    assert damaged == {"broken_exif/corrupted.jpg"}
