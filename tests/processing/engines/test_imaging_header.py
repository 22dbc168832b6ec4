"""Headers: format by the bytes, dimensions, refusals, and how little is read."""

import io
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from imaging_samples import HEIGHT, WIDTH, cropped_heif, encoded, exif_with_orientation, picture, samples
from PIL import Image

from processing.engines import imaging
from processing.engines.errors import (
    DamagedImageError,
    EmptyFileError,
    EngineError,
    TooManyPixelsError,
    UnsupportedFormatError,
)
from processing.engines.imaging.header import coded_pixels, read_header
from processing.engines.imaging.header_bytes import MAX_READS
from processing.engines.imaging.results import ImageHeader

MAX_PIXELS = 100_000_000
MIME_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "AVIF": "image/avif",
    "TIFF": "image/tiff",
    "HEIF": "image/heic",
}
REPOSITORY = Path(__file__).resolve().parents[3]


class CountingFile(io.BytesIO):
    """A file that counts the bytes that are read from it."""

    bytes_read = 0

    def read(self, length: int = -1) -> bytes:
        taken = super().read(length)
        self.bytes_read += len(taken)
        return taken


def header_of(data: bytes, max_pixels: int = MAX_PIXELS) -> ImageHeader:
    return read_header(io.BytesIO(data), max_pixels=max_pixels)


@pytest.mark.parametrize("name", samples())
def test_every_format_is_told_by_its_bytes(name: str) -> None:
    image_format, data = samples()[name]
    expected = ImageHeader(image_format, MIME_TYPES[image_format], WIDTH, HEIGHT)
    assert header_of(data) == expected


@pytest.mark.parametrize("size", [(1, 1), (97, 63), (301, 2)])
@pytest.mark.parametrize("image_format", MIME_TYPES)
def test_odd_dimensions(image_format: str, size: tuple[int, int]) -> None:
    header = header_of(encoded(picture(*size), image_format))
    assert (header.format, header.width, header.height) == (image_format, *size)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "TIFF", "AVIF", "HEIF"])
def test_dimensions_are_upright(image_format: str, orientation: int) -> None:
    options = {"exif": exif_with_orientation(orientation)}
    if image_format == "TIFF":
        options = {"tiffinfo": {274: orientation}}
    header = header_of(encoded(picture(), image_format, **options))
    assert (header.width, header.height) == ((HEIGHT, WIDTH) if orientation >= 5 else (WIDTH, HEIGHT))


def test_real_photos_agree_with_their_decoders(shared_photos: Path) -> None:
    """The dimensions of all 122 files that Pillow opens by itself or that are HEIC, and one refusal."""
    formats = []
    for path in sorted(shared_photos.rglob("*")):
        if path.suffix.lower() in {"", ".md", ".json", ".jxl"} or not path.is_file():
            continue
        with path.open("rb") as file:
            header = read_header(file, max_pixels=MAX_PIXELS)
        formats.append(header.format)
        if header.format != "HEIF":
            with Image.open(path) as image:
                sides = {image.width, image.height}
            assert {header.width, header.height} == sides, path.name
    assert {name: formats.count(name) for name in set(formats)} == {
        "JPEG": 109,
        "TIFF": 7,
        "HEIF": 4,
        "AVIF": 1,
        "WEBP": 1,
        "PNG": 1,
    }
    with (shared_photos / "formats" / "8bit-sRGB.jxl").open("rb") as file, pytest.raises(UnsupportedFormatError):
        read_header(file, max_pixels=MAX_PIXELS)


@pytest.mark.parametrize(
    ("path", "width", "height"),
    [
        ("formats/IMG_2682.heic", 4032, 3024),
        ("formats/IMG_5195.HEIC", 2566, 3313),
        ("formats/iphone_13_pro_max.HEIC", 3024, 4032),
        ("formats/samsung-one-ui-6.heic", 3000, 4000),
        ("scenes/craft-beer.jpg", 6000, 4000),
        ("exif/orientation/portrait_6.jpg", 450, 600),
    ],
)
def test_few_bytes_are_read(shared_photos: Path, path: str, width: int, height: int) -> None:
    file = CountingFile((shared_photos / path).read_bytes())
    header = read_header(file, max_pixels=MAX_PIXELS)
    assert (header.width, header.height) == (width, height)
    assert file.bytes_read < 8000


@pytest.mark.parametrize("name", samples())
def test_few_bytes_are_read_before_a_long_body(name: str) -> None:
    file = CountingFile(samples()[name][1] + bytes(1_000_000))
    read_header(file, max_pixels=MAX_PIXELS)
    assert file.bytes_read < 1000


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\x0a" + bytes(100),  # JPEG XL, bare
        b"\x00\x00\x00\x0cJXL \r\n\x87\n" + bytes(100),  # JPEG XL in boxes
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7\n" + bytes(100),
        b"PK\x03\x04" + bytes(100),
        b"plain words",
        b"x",
        b"BM" + bytes(100),
        b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom",
        b"\x00\x00\x00\x18ftypcrx \x00\x00\x00\x01crx isom",
        b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(100),
        b"II*\x00\x10\x00\x00\x00CR\x02\x00" + bytes(200),  # Canon raw
    ],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedFormatError):
        header_of(data)


def tiff_of(*entries: tuple[int, int, int, int]) -> bytes:
    """Return a little-endian TIFF header with one directory of (tag, type, count, value)."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", len(entries)) + packed + bytes(4)


@pytest.mark.parametrize(("tag", "field_type", "count", "value"), [(254, 4, 1, 1), (50706, 1, 4, 0x0401)])
def test_camera_raw_in_tiff_is_refused(tag: int, field_type: int, count: int, value: int) -> None:
    """A NEF's first page is a thumbnail (NewSubfileType 1); a DNG states its version in four bytes."""
    size = (256, 4, 1, 160), (257, 4, 1, 120)
    assert header_of(tiff_of(*size)).width == 160
    with pytest.raises(UnsupportedFormatError):
        header_of(tiff_of((tag, field_type, count, value), *size))


def test_of_a_tiff_tag_given_twice_the_first_counts() -> None:
    header = header_of(tiff_of((256, 4, 1, 160), (256, 4, 1, 1), (257, 4, 1, 120)))
    assert (header.width, header.height) == (160, 120)


def test_empty_file() -> None:
    with pytest.raises(EmptyFileError):
        header_of(b"")


@pytest.mark.parametrize("name", samples())
def test_pixel_cap(name: str) -> None:
    data = samples()[name][1]
    assert header_of(data, max_pixels=WIDTH * HEIGHT).width == WIDTH
    with pytest.raises(TooManyPixelsError):
        header_of(data, max_pixels=WIDTH * HEIGHT - 1)


def test_a_crop_hides_no_pixels() -> None:
    """Of 98 x 64 pixels that are decoded, 11 x 7 are shown."""
    data = cropped_heif(97, 63, shown=(11, 7))
    assert coded_pixels(io.BytesIO(data), image_format="HEIF") == 98 * 64
    header = header_of(data, max_pixels=98 * 64)
    assert (header.width, header.height) == (11, 7)
    with pytest.raises(TooManyPixelsError, match="98 x 64 pixels"):
        header_of(data, max_pixels=98 * 64 - 1)


def test_the_parts_of_a_grid_count(shared_photos: Path) -> None:
    """The tiles and the whole each have their size; the largest of them is what must be allowed."""
    data = bytearray((shared_photos / "formats" / "IMG_2682.heic").read_bytes())
    assert coded_pixels(io.BytesIO(data), image_format="HEIF") == 4032 * 3024
    tile = data.index(b"ispe") + 8
    assert struct.unpack(">II", data[tile : tile + 8]) == (512, 512)
    data[tile : tile + 8] = struct.pack(">II", 20_000, 20_000)
    with pytest.raises(TooManyPixelsError, match="20000 x 20000 pixels"):
        header_of(bytes(data))


def test_formats_that_crop_nothing_have_no_other_pixels() -> None:
    for name in ("jpeg", "png", "webp_lossy", "gif", "tiff"):
        image_format, data = samples()[name]
        assert coded_pixels(io.BytesIO(data), image_format=image_format) == 0


@pytest.mark.parametrize("sides", [(60_000, 60_000), (65_536, 1), (1, 90_000_000)])
def test_a_bomb_is_refused_by_its_header(sides: tuple[int, int]) -> None:
    ihdr = struct.pack(">IIBBBBB", *sides, 8, 2, 0, 0, 0)
    with pytest.raises(TooManyPixelsError):
        header_of(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + ihdr + bytes(20))


@pytest.mark.parametrize("name", samples())
def test_a_cut_header_is_damaged(name: str) -> None:
    with pytest.raises(DamagedImageError):
        header_of(samples()[name][1][:16])


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xda\x00\x08" + bytes(100),
        b"\xff\xd8\xff\xe0\x00\x00" + bytes(100),
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIDAT" + bytes(100),
        b"GIF89a\x01\x00\x01\x00\x00\x00\x00;" + bytes(100),
        b"RIFF\x24\x00\x00\x00WEBPVP8 \x18\x00\x00\x00" + bytes(100),
        b"MM\x00*\x00\x00\x00\x08\x00\x00" + bytes(100),
        b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(100),
        b"\x00\x00\x00\x18ftypavif\x00\x00\x00\x00mif1avif\xff\xff\xff\xffmdat",
    ],
)
def test_a_broken_header_is_damaged(data: bytes) -> None:
    with pytest.raises(DamagedImageError):
        header_of(data)


def test_a_jpeg_without_pixels_or_with_twelve_bits() -> None:
    data = samples()["jpeg"][1]
    frame = data.index(b"\xff\xc0")
    with pytest.raises(DamagedImageError):
        header_of(data[: frame + 5] + bytes(4) + data[frame + 9 :])
    with pytest.raises(UnsupportedFormatError):
        header_of(data[: frame + 4] + b"\x0c" + data[frame + 5 :])


def test_an_endless_walk_ends() -> None:
    """Sixteen million empty segments would keep a web thread busy for half a minute."""
    file = CountingFile(b"\xff\xd8\xff\xe0\x00\x02" + b"\xff\xfe\x00\x02" * 1_000_000)
    with pytest.raises(DamagedImageError):
        read_header(file, max_pixels=MAX_PIXELS)
    assert file.bytes_read == 16 + 4 * (MAX_READS - 1)


def test_a_storage_failure_is_not_damage() -> None:
    class FailingFile(io.BytesIO):
        def read(self, length: int = -1) -> bytes:
            raise TimeoutError("the storage does not answer")

    with pytest.raises(TimeoutError):
        read_header(FailingFile(samples()["jpeg"][1]), max_pixels=MAX_PIXELS)


def test_threads_have_limits_of_their_own() -> None:
    data = encoded(picture(), "WEBP")
    outcomes: dict[int, set[str]] = {0: set(), 1: set()}

    def read(generous: int) -> None:
        for _ in range(300):
            try:
                header_of(data, max_pixels=WIDTH * HEIGHT - 1 + generous)
            except TooManyPixelsError:
                outcomes[generous].add("refused")
            else:
                outcomes[generous].add("taken")

    threads = [threading.Thread(target=read, args=(generous,)) for generous in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == {0: {"refused"}, 1: {"taken"}}


def test_no_decoder_is_loaded() -> None:
    """The web process reads headers, and names the results of stages, without Pillow, libheif or libavif in it."""
    program = (
        "import sys\n"
        "from processing.engines import imaging\n"
        "imaging.read_header, imaging.RenditionSet, imaging.FaceChip, imaging.apply_limits\n"
        "print([name for name in ('PIL', 'pillow_heif', 'numpy', 'django') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("name", "home"),
    [("render", "renditions"), ("cut_chip", "chips"), ("decode_rgb", "chips"), ("time_limited", "time_limits")],
)
def test_the_package_offers_its_functions(name: str, home: str) -> None:
    assert getattr(imaging, name).__module__ == f"processing.engines.imaging.{home}"
    with pytest.raises(AttributeError, match="nothing_such"):
        imaging.nothing_such  # noqa: B018 - the access is the test


def test_refusals_are_told_in_words() -> None:
    for data, max_pixels, words in (
        (b"", MAX_PIXELS, "the file has no bytes"),
        (b"plain words", MAX_PIXELS, "not a JPEG, PNG, WebP, GIF, AVIF, TIFF or HEIF file"),
        (samples()["png"][1], 6000, "96 x 64 pixels, of which at most 6,000 are allowed"),
    ):
        with pytest.raises(EngineError, match=f"^{words}$"):
            header_of(data, max_pixels)
