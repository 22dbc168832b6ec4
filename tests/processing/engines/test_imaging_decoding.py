"""Hostile and damaged files: every failure has its engine error, and nothing global is left behind."""

import io
import struct
import threading
import warnings
from pathlib import Path

import pillow_heif
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imaging_samples import HEIGHT, WIDTH, cropped_heif, encoded, picture, samples
from PIL import Image, ImageFile, PngImagePlugin

from processing.engines.errors import (
    DamagedImageError,
    EmptyFileError,
    EngineError,
    OutOfMemoryError,
    TooManyPixelsError,
    UnsupportedFormatError,
)
from processing.engines.imaging import decoding
from processing.engines.imaging.chips import decode_rgb
from processing.engines.imaging.decoding import decode
from processing.engines.imaging.failures import translate
from processing.engines.imaging.header import read_header
from processing.engines.imaging.renditions import render
from processing.engines.imaging.results import ImageHeader, RenditionSet

SIZES = {"large": 60, "small": 30}
MAX_PIXELS = 1_000_000


def rendered(data: bytes, max_pixels: int = MAX_PIXELS) -> RenditionSet:
    return render(io.BytesIO(data), sizes=SIZES, quality=80, max_pixels=max_pixels)


@st.composite
def broken_files(draw: st.DrawFn) -> bytes:
    """Draw a picture's file that is cut, has bytes changed (in its header more often), or lacks some in between."""
    data = bytearray(samples()[draw(st.sampled_from(sorted(samples())))][1])
    if draw(st.booleans()):
        return bytes(data[: draw(st.integers(0, len(data) - 1))])
    reach = min(len(data), draw(st.sampled_from([40, 120, 400, len(data)])))
    for _ in range(draw(st.integers(1, 8))):
        place = draw(st.integers(0, reach - 1))
        data[place] = draw(st.sampled_from([0, 1, 127, 128, 255, data[place] ^ 1, data[place] ^ 128]))
    if draw(st.booleans()):
        start = draw(st.integers(0, len(data) - 1))
        del data[start : start + draw(st.integers(1, 20))]
    return bytes(data)


@settings(
    max_examples=1500,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(broken_files())
def test_only_engine_errors_escape(data: bytes) -> None:
    try:
        header = read_header(io.BytesIO(data), max_pixels=MAX_PIXELS)
    except EngineError as refusal:
        # what the header's reader refuses is refused by the renderer in the same words
        with pytest.raises(type(refusal)):
            rendered(data)
        return
    assert isinstance(header, ImageHeader)
    try:
        assert len(rendered(data).renditions) == 2
    except EngineError as refusal:
        assert refusal.code in {"damaged", "too_many_pixels", "out_of_memory"}  # noqa: PT017 - success is fine too


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    st.sampled_from([b"", *(data[:16] for _, data in samples().values())]),
    st.binary(max_size=300),
)
def test_arbitrary_bytes_behind_a_signature(signature: bytes, rest: bytes) -> None:
    with pytest.raises(EngineError):
        rendered(signature + rest)


@pytest.mark.parametrize("name", samples())
def test_truncated_files_are_damaged(name: str) -> None:
    data = samples()[name][1]
    cut = 0.2 if name in {"mpo", "gif_animated"} else 0.6  # within the first frame
    with pytest.raises(DamagedImageError):
        rendered(data[: int(len(data) * cut)])
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_a_truncated_real_photo_is_damaged(shared_photos: Path) -> None:
    for name in ("scenes/prairie_falcon.jpg", "formats/IMG_2682.heic", "formats/8bit-sRGB.avif"):
        data = (shared_photos / name).read_bytes()
        with pytest.raises(DamagedImageError):
            rendered(data[: len(data) * 9 // 10], 100_000_000)


def test_refusals_of_the_header_are_the_renderers_too() -> None:
    with pytest.raises(EmptyFileError):
        rendered(b"")
    with pytest.raises(UnsupportedFormatError):
        rendered(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    with pytest.raises(TooManyPixelsError):
        rendered(samples()["png"][1], max_pixels=WIDTH * HEIGHT - 1)
    assert rendered(samples()["png"][1], max_pixels=WIDTH * HEIGHT).width == WIDTH


def test_a_second_larger_frame_is_refused_by_pillows_own_check() -> None:
    """The header's reader sees the first frame header, Pillow goes by the last."""
    data = samples()["jpeg"][1]
    frame = data.index(b"\xff\xc0")
    length = 2 + int.from_bytes(data[frame + 2 : frame + 4])
    huge = bytearray(data[frame : frame + length])
    for side, refused in ((900, False), (1100, True), (60000, True)):
        huge[5:9] = struct.pack(">HH", side, side)
        forged = data[: frame + length] + bytes(huge) + data[frame + length :]
        assert read_header(io.BytesIO(forged), max_pixels=MAX_PIXELS).width == WIDTH
        with pytest.raises(TooManyPixelsError if refused else DamagedImageError):
            rendered(forged)


def test_a_cropped_heif_is_refused_for_what_is_decoded() -> None:
    data = cropped_heif(97, 63, shown=(11, 7))
    assert (rendered(data, max_pixels=98 * 64).width, rendered(data, max_pixels=98 * 64).height) == (11, 7)
    with pytest.raises(TooManyPixelsError):
        rendered(data, max_pixels=98 * 64 - 1)


def test_heif_has_the_cap_of_its_decoder_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader of headers is made to see a small picture: libheif says what it is before it decodes."""
    data = encoded(picture(), "HEIF")
    small = ImageHeader("HEIF", "image/heic", 1, 1)
    monkeypatch.setattr(decoding, "read_header", lambda *_, **__: small)
    decoded = []
    load = pillow_heif.HeifImageFile.load
    monkeypatch.setattr(pillow_heif.HeifImageFile, "load", lambda image: (decoded.append(image), load(image))[1])
    assert rendered(data, max_pixels=WIDTH * HEIGHT).width == WIDTH
    assert decoded
    decoded.clear()
    with pytest.raises(TooManyPixelsError):
        rendered(data, max_pixels=WIDTH * HEIGHT - 1)
    assert decoded == []


def test_a_grid_that_is_larger_than_it_says_is_damaged(shared_photos: Path) -> None:
    data = bytearray((shared_photos / "formats" / "IMG_2682.heic").read_bytes())
    place = data.index(struct.pack(">II", 4032, 3024))
    data[place : place + 8] = struct.pack(">II", 400, 300)
    assert read_header(io.BytesIO(data), max_pixels=MAX_PIXELS).width == 400
    with pytest.raises(DamagedImageError):
        rendered(bytes(data))


def test_pillows_globals_are_put_back() -> None:
    before = Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK, list(warnings.filters)
    rendered(samples()["png"][1])
    with pytest.raises(DamagedImageError):
        rendered(samples()["png"][1][:200])
    assert (Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK, list(warnings.filters)) == before


def test_threads_decode_under_limits_of_their_own() -> None:
    data = samples()["jpeg"][1]
    outcomes: dict[int, set[str]] = {0: set(), 1: set()}
    before = Image.MAX_IMAGE_PIXELS

    def work(generous: int) -> None:
        for _ in range(40):
            try:
                rendered(data, max_pixels=WIDTH * HEIGHT - 1 + generous)
            except TooManyPixelsError:
                outcomes[generous].add("refused")
            else:
                outcomes[generous].add("rendered")

    threads = [threading.Thread(target=work, args=(generous,)) for generous in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == {0: {"refused"}, 1: {"rendered"}}
    assert before == Image.MAX_IMAGE_PIXELS


class FailingFile(io.BytesIO):
    """A file whose storage breaks after some reads."""

    def __init__(self, data: bytes, *, reads: int, failure: Exception) -> None:
        super().__init__(data)
        self.reads = reads
        self.failure = failure

    def read(self, length: int = -1) -> bytes:
        self.reads -= 1
        if self.reads < 0:
            raise self.failure
        return super().read(length)


class StorageClientError(Exception):
    """Object stores' clients have exceptions of their own, which are no OSError."""


@pytest.mark.parametrize("failure", [OSError(5, "Input/output error"), StorageClientError("slow down")])
@pytest.mark.parametrize("name", samples())
def test_a_storage_failure_is_never_damage(name: str, failure: Exception) -> None:
    data = samples()[name][1]
    counting = FailingFile(data, reads=10_000, failure=failure)
    expected = render(counting, sizes=SIZES, quality=80, max_pixels=MAX_PIXELS)
    needed = 10_000 - counting.reads
    for reads in {0, 1, needed // 2, needed - 1}:
        file = FailingFile(data, reads=reads, failure=failure)
        try:
            result = render(file, sizes=SIZES, quality=80, max_pixels=MAX_PIXELS)
        except type(failure) as raised:
            assert raised is failure  # noqa: PT017 - reads after the last pixel may fail without harm
        else:
            assert result == expected


def test_a_missing_file_is_not_damage(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        render(tmp_path / "nothing.jpg", sizes=SIZES, quality=80, max_pixels=MAX_PIXELS)


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (OSError("image file is truncated (3 bytes not processed)"), DamagedImageError),
        (MemoryError(), OutOfMemoryError),
        (OSError("out of memory error when reading image file"), OutOfMemoryError),
        (RuntimeError("Memory allocation error: Unspecified"), OutOfMemoryError),
        (ValueError("Memory allocation error: Security limit exceeded: iinf box"), DamagedImageError),
        (Image.DecompressionBombError("Image size"), TooManyPixelsError),
    ],
)
def test_what_decoders_raise(raised: Exception, expected: type[EngineError]) -> None:
    assert type(translate(raised)) is expected


def test_permanence() -> None:
    assert DamagedImageError.permanent is True
    assert OutOfMemoryError.permanent is False
    assert OutOfMemoryError.code == "out_of_memory"


def test_a_long_history_in_png_text_is_no_damage() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", "<history/>" * 300_000, zip=True)
    assert rendered(encoded(picture(), "PNG", pnginfo=info)).width == WIDTH


def test_broken_exif_beside_good_pixels() -> None:
    exif = b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff" + b"\x01\x12\x00\x03\xff\xff\xff\xff" * 20
    assert rendered(encoded(picture(), "JPEG", exif=exif)).width == WIDTH


def test_scale_and_place_of_a_drafted_jpeg() -> None:
    data = encoded(picture(1001, 500), "JPEG")
    photo = decode(io.BytesIO(data), long_side=250, max_pixels=MAX_PIXELS)
    assert photo.image.size == (251, 125)
    assert photo.box == (0, 0, 250.25, 125)
    assert photo.size == (1001, 500)
    whole = decode(io.BytesIO(data), long_side=501, max_pixels=MAX_PIXELS)
    assert (whole.image.size, whole.box) == ((1001, 500), (0, 0, 1001, 500))


def test_our_own_jpeg_when_it_is_damaged() -> None:
    data = rendered(samples()["jpeg"][1]).renditions[0].data
    assert decode_rgb(data).shape == (40, 60, 3)
    for broken in (b"", data[:100], data[: len(data) // 2], samples()["png"][1]):
        with pytest.raises(DamagedImageError):
            decode_rgb(broken)
