"""Damaged and malicious files: any bytes give a result, soon, that a database takes."""

import io
import json
import random
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import pytest
from exif_samples import (
    ASCII,
    BYTE,
    LONG,
    XMP_HEAD,
    iim,
    jpeg,
    jpeg_with_exif,
    photoshop,
    png,
    resource,
    tiff,
    xmp,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from processing.engines.exif import PhotoMetadata, read_metadata

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "HEIF", "TIFF")
REAL = (
    ("exif/gps/DSCN0010.jpg", "JPEG"),
    ("people/obama/obama.jpg", "JPEG"),
    ("exif/xmp/BlueSquare.jpg", "JPEG"),
    ("exif/BSG1.tiff", "TIFF"),
    ("formats/IMG_5195.HEIC", "HEIF"),
    ("formats/denali.webp", "WEBP"),
    ("formats/density_plot.png", "PNG"),
    ("formats/8bit-sRGB.avif", "AVIF"),
)
# What our own limits allow at the very worst on a slow machine; without them these files take minutes or all memory.
SECONDS = 5


def read(data: bytes, image_format: str = "JPEG") -> PhotoMetadata:
    """From a real file, which unlike one in memory cannot be told to go anywhere."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        return read_metadata(file, image_format=image_format)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def assert_storable(metadata: PhotoMetadata) -> None:
    """All that the columns ask for: JSON without NaN, text without NUL or half characters, values in their ranges."""
    encoded = json.dumps(metadata.tags, ensure_ascii=False, allow_nan=False)
    assert len(encoded.encode()) <= 16_000
    fields = [getattr(metadata, name) for name in metadata.__slots__ if name not in ("tags", "warnings")]
    warnings = [(warning.code, warning.field, warning.detail) for warning in metadata.warnings]
    for text in _texts([fields, warnings, dict(metadata.tags)]):
        assert "\x00" not in text
        text.encode()
    assert len(metadata.warnings) <= 51
    assert all(len(warning.detail) <= 200 for warning in metadata.warnings)
    assert metadata.orientation is None or 1 <= metadata.orientation <= 8
    assert (metadata.latitude is None) == (metadata.longitude is None)
    assert metadata.latitude is None or (-90 <= metadata.latitude <= 90 and -180 <= metadata.longitude <= 180)
    assert metadata.rating is None or -1 <= metadata.rating <= 5
    assert metadata.taken_at_local is None or metadata.taken_at_source in ("exif", "xmp", "iptc", "gps", "naive")


@given(st.binary(max_size=300), st.sampled_from(FORMATS))
@settings(max_examples=300, deadline=None)
@example(b"", "JPEG")
@example(b"\xff\xd8\xff\xe1\x00\x00", "JPEG")
@example(b"II*\x00\xff\xff\xff\xff", "TIFF")
def test_any_bytes_give_a_result(data: bytes, image_format: str) -> None:
    assert_storable(read(data, image_format))


@given(st.binary(max_size=400), st.sampled_from((b"II*\x00\x08\x00\x00\x00", b"MM\x00*\x00\x00\x00\x08")))
@settings(max_examples=300, deadline=None)
def test_any_directory_gives_a_result(data: bytes, head: bytes) -> None:
    assert_storable(read(head + data, "TIFF"))


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
@example("<tiff:Make>&#0;</tiff:Make>")
@example("<tiff:Make>\ud800</tiff:Make>".encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
def test_any_xmp_gives_a_result(body: str) -> None:
    packet = xmp("@").replace(b"@", body.encode("utf-8", "replace"))
    assert_storable(read(jpeg((0xE1, XMP_HEAD + packet[:60_000]))))


@pytest.mark.parametrize(("name", "image_format"), REAL)
def test_real_photos_survive_flipped_and_lost_bytes(shared_photos: Path, name: str, image_format: str) -> None:
    data = (shared_photos / name).read_bytes()[: 256 << 10]
    chance = random.Random(name)  # the same damage on every run
    for _ in range(60):
        damaged = bytearray(data)
        reach = chance.choice((64, 512, 4096, len(data)))
        for _ in range(chance.randint(1, 30)):
            damaged[chance.randrange(min(reach, len(damaged)))] = chance.choice((0, 255, chance.randrange(256)))
        if chance.random() < 0.4:
            del damaged[chance.randrange(len(damaged)) :]
        assert_storable(read(bytes(damaged), image_format))


def test_photos_with_damaged_exif_carry_warnings(shared_photos: Path) -> None:
    """Seven exports of an image editor, which hold a date but no EXIF, and one photo whose scan alone is damaged."""
    codes = {}
    for path in sorted((shared_photos / "broken_exif").iterdir()):
        with path.open("rb") as file:
            metadata = read_metadata(file, image_format="JPEG")
        assert_storable(metadata)
        codes[path.name] = [warning.code for warning in metadata.warnings]
    assert codes == {
        "corrupted.jpg": [],
        "image00971.jpg": ["uncertain_date"],
        "image01088.jpg": ["uncertain_date"],
        "image01137.jpg": ["uncertain_date"],
        "image01551.jpg": ["uncertain_date"],
        "image01713.jpg": ["uncertain_date"],
        "image01980.jpg": ["uncertain_date"],
        "image02206.jpg": ["uncertain_date"],
    }


def test_a_cut_file_keeps_what_was_read_and_says_that_it_is_cut(shared_photos: Path) -> None:
    data = (shared_photos / "exif/gps/DSCN0010.jpg").read_bytes()
    metadata = read(data[:400])
    assert (metadata.make, metadata.model) == ("NIKON", "COOLPIX P6000")
    assert metadata.latitude is None
    codes = [(warning.code, warning.field) for warning in metadata.warnings]
    assert codes == [
        ("container_damaged", "file"),
        ("exif_damaged", "exif"),
        ("zero_denominator", "exposure_time_s"),
        ("zero_denominator", "aperture"),
    ]


def _loop() -> bytes:
    """Directories that point at themselves: the EXIF directory is the first, which is its own successor."""
    block = bytearray(tiff([(0x010F, ASCII, b"Leica\x00"), (0x8769, LONG, (8,))]))
    struct.pack_into("<I", block, 8 + 2 + 2 * 12, 8)
    return bytes(block)


def _fan() -> bytes:
    """A thousand pointers to one GPS directory of a thousand entries."""
    inner = struct.pack("<H", 1000) + struct.pack("<HHII", 2, 5, 300, 0) * 1000
    outer = [(0x8825, LONG, (20_000,))] * 1000
    return tiff(outer).ljust(20_000, b"\x00") + inner


def _counts() -> bytes:
    """Every tag claims the whole of a large block as its text."""
    size = 60_000
    table = b"".join(struct.pack("<HHII", 0xC000 + tag, ASCII, size, 0) for tag in range(4000))
    return b"II*\x00" + struct.pack("<IH", 8, 4000) + table + b"\x00" * 4 + b"y" * size


def _deep_xml() -> bytes:
    return xmp("<a>" * 8000 + "</a>" * 8000)


def _png_bomb() -> bytes:
    import zlib

    text = zlib.compress(b"y" * (8 << 20), 9)
    return png(*[(b"zTXt", b"Comment%d\x00\x00" % index + text) for index in range(40)])


def _box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data) + 8) + kind + data


def _heif(locations: bytes) -> bytes:
    """A HEIC file without pixels whose one item is EXIF, at the places that its `iloc` box names."""
    infe = _box(b"infe", struct.pack(">IHH", 2 << 24, 1, 0) + b"Exif\x00")
    iinf = _box(b"iinf", struct.pack(">IH", 0, 1) + infe)
    iloc = _box(b"iloc", locations)
    return _box(b"ftyp", b"heic\x00\x00\x00\x00") + _box(b"meta", b"\x00" * 4 + iinf + iloc)


def _heif_extents() -> bytes:
    """A hundred thousand items of 65,535 extents each that take no room."""
    return _heif(struct.pack(">IHH", 0, 0, 65_535) + struct.pack(">HHH", 1, 0, 65_535) * 65_535)


class _FileOnDisk(io.BytesIO):
    """A file as ext4 has it, which seeks no further than a file of its could reach."""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET and offset > 2**44 - 4096:
            raise OSError(22, "Invalid argument")
        return super().seek(offset, whence)


@pytest.mark.parametrize("offset", [10**6, 2**44, 2**62 - 1, 2**63 - 1, 2**64 - 1])
@pytest.mark.parametrize("image_format", ["HEIF", "AVIF"])
def test_an_item_beyond_any_file_is_not_there(offset: int, image_format: str) -> None:
    data = _heif(struct.pack(">IHHHHHQI", 0, 0x8400, 1, 1, 0, 1, offset, 100))
    for metadata in (read(data, image_format), read_metadata(_FileOnDisk(data), image_format=image_format)):
        assert_storable(metadata)
        assert (metadata.make, metadata.warnings) == (None, ())


def _packets() -> bytes:
    return jpeg(*[(0xE1, XMP_HEAD + b"<x" * 30_000)] * 400)


def _keywords() -> bytes:
    records = iim(*[(2, 25, b"%d" % index) for index in range(9000)])
    return jpeg((0xED, photoshop((0x0404, records[:65_000]))))


@pytest.mark.parametrize(
    ("data", "image_format", "codes"),
    [
        pytest.param(_loop(), "TIFF", [], id="directories in a circle"),
        pytest.param(_fan(), "TIFF", ["exif_too_large", "not_a_number"], id="a fan of directories"),
        pytest.param(_counts(), "TIFF", ["exif_too_large"], id="texts of huge counts"),
        pytest.param(jpeg((0xE1, XMP_HEAD + _deep_xml())), "JPEG", [], id="deep XML"),
        pytest.param(_png_bomb(), "PNG", ["container_too_large"], id="compressed texts"),
        pytest.param(_heif_extents(), "HEIF", ["container_damaged"], id="extents of no size"),
        pytest.param(_packets(), "JPEG", ["container_too_large", "xmp_damaged"], id="many packets"),
        pytest.param(_keywords(), "JPEG", ["iptc_damaged", "keywords_cut"], id="many keywords"),
        pytest.param(b"\xff\xd8" + b"\xff\xe0\x00\x02" * 500_000, "JPEG", ["container_damaged"], id="segments"),
        pytest.param(b"\xff\xd8" + b"\xff" * 3_000_000, "JPEG", ["container_damaged"], id="fill bytes"),
    ],
)
def test_a_bomb_ends_soon(data: bytes, image_format: str, codes: list[str]) -> None:
    started = perf_counter()
    metadata = read(data, image_format)
    assert perf_counter() - started < SECONDS
    assert_storable(metadata)
    assert list(dict.fromkeys(warning.code for warning in metadata.warnings)) == codes


def test_warnings_are_bounded() -> None:
    blocks = b"".join(resource(0x0404, iim((2, 5, b"x" * length)) + b"\x01" * 6) for length in range(1, 201))
    metadata = read(jpeg((0xED, b"Photoshop 3.0\x00" + blocks)))
    assert metadata.title == "x"
    assert len(metadata.warnings) == 51
    assert [warning.detail for warning in metadata.warnings[:50]] == [
        f"no dataset at byte {5 + n}" for n in range(1, 51)
    ]
    last = metadata.warnings[50]
    assert (last.code, last.field, last.detail) == ("warnings_dropped", "warnings", "150")
    assert_storable(metadata)


def test_a_long_text_behind_many_lost_values_keeps_the_rest() -> None:
    """exifread leaves long byte values unread; here the patience for lost bytes is spent before they are asked for."""
    lost = 4_000_000_000
    table = [(0x010F, ASCII, 4, int.from_bytes(b"Agf\x00", "little")), (0x9C9B, BYTE, 5000, lost)]
    table += [(0xC000 + index, LONG, 900, lost) for index in range(4)]
    block = b"II*\x00" + struct.pack("<IH", 8, len(table)) + b"".join(struct.pack("<HHII", *entry) for entry in table)
    metadata = read(block + b"\x00" * 4, "TIFF")
    assert (metadata.make, metadata.title) == ("Agf", None)
    assert [warning.detail for warning in metadata.warnings] == [
        "a value lies past the end of the block",
        "Image XPTitle: a value lies past the end of the block",
    ]


def test_an_impossible_pointer_keeps_the_rest() -> None:
    metadata = read(
        jpeg_with_exif([(0x010F, ASCII, b"Leica\x00"), (0x8769, LONG, (4_000_000_000,)), (0x9C9B, BYTE, b"x")])
    )
    assert metadata.make == "Leica"
    assert "exif_damaged" in {warning.code for warning in metadata.warnings}
