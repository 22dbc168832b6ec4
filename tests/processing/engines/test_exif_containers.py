"""Where each format keeps its metadata, and how little of the file is read for it."""

import io
import struct
import zlib
from pathlib import Path

import pillow_heif
import pytest
from exif_samples import (
    ASCII,
    BYTE,
    SHORT,
    XMP_HEAD,
    CountingFile,
    iim,
    jpeg,
    photoshop,
    png,
    png_chunk,
    resource,
    segment,
    tiff,
    xmp,
)
from PIL import Image

from processing.engines.exif import MetadataWarning, PhotoMetadata, read_metadata

MAKE, ORIENTATION = 0x010F, 0x0112
EXIF = tiff([(MAKE, ASCII, b"Leica\x00"), (ORIENTATION, SHORT, (6,))])
XMP = xmp('<dc:title><rdf:Alt><rdf:li xml:lang="x-default">A title</rdf:li></rdf:Alt></dc:title>')
BOTH = PhotoMetadata(make="Leica", orientation=6, title="A title")
MEGABYTE = 1 << 20


def read(data: bytes, image_format: str) -> PhotoMetadata:
    return read_metadata(io.BytesIO(data), image_format=image_format)


def noise(size: int) -> Image.Image:
    return Image.effect_noise((size, size), 80).convert("RGB")


def saved(image: Image.Image, image_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def heif() -> bytes:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(noise(64)).save(buffer, exif=b"Exif\x00\x00" + EXIF, xmp=XMP, quality=50)
    return buffer.getvalue()


def box(kind: bytes, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return struct.pack(">I", len(data) + 8) + kind + data


def hand_made_heif() -> bytes:
    """What the format allows and encoders rarely do: large boxes, wide identifiers, items inside the meta box."""
    exif = struct.pack(">I", 6) + b"Exif\x00\x00" + EXIF
    pixels = struct.pack(">I", 1) + b"mdat" + struct.pack(">Q", 16 + 100_000) + b"\x00" * 100_000
    meta = box(
        b"meta",
        b"\x00" * 4,
        box(
            b"iinf",
            struct.pack(">II", 1 << 24, 3),
            box(b"infe", struct.pack(">IIH", 3 << 24, 70_000, 0), b"Exif\x00"),
            box(b"infe", struct.pack(">IHH", 2 << 24, 2, 0), b"mime\x00application/rdf+xml\x00"),
            box(b"infe", struct.pack(">IHH", 2 << 24, 3, 0), b"hvc1\x00"),
        ),
        box(
            b"iloc",
            struct.pack(">IHI", 2 << 24, 0x4400, 2),
            struct.pack(">IHHHIIII", 70_000, 1, 0, 2, 0, 20, 20, len(exif) - 20),
            struct.pack(">IHHHII", 2, 1, 0, 1, len(exif), len(XMP)),
        ),
        box(b"idat", exif, XMP),
    )
    return box(b"ftyp", b"heic\x00\x00\x00\x00mif1") + pixels + meta


def profile(name: str, data: bytes) -> bytes:
    """A profile in hexadecimal as ImageMagick writes it."""
    return f"\n{name}\n{len(data):8d}\n{data.hex()}\n".encode()


def gif(*extensions: bytes) -> bytes:
    plain = saved(Image.new("P", (8, 8)), "GIF")
    start = 13 + (3 << ((plain[10] & 7) + 1) if plain[10] & 0x80 else 0)
    return plain[:start] + b"".join(extensions) + plain[start:]


JPEG_FILE = jpeg((0xE1, b"Exif\x00\x00" + EXIF), (0xE1, XMP_HEAD + XMP))
WEBP_FILE = saved(noise(64), "WEBP", exif=b"Exif\x00\x00" + EXIF, xmp=XMP)
PNG_XMP = b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + XMP
XMP_TRAILER = b"\x01" + bytes(range(255, -1, -1))


@pytest.mark.parametrize(
    ("data", "image_format"),
    [
        pytest.param(JPEG_FILE, "JPEG", id="jpeg"),
        pytest.param(jpeg((0xE1, XMP_HEAD + XMP), (0xE1, b"Exif\x00\x00" + EXIF)), "JPEG", id="jpeg, xmp first"),
        pytest.param(
            jpeg(
                (0xE1, b"Exif\x00\x00" + EXIF[:20]), (0xE2, b"x" * 60_000), (0xE1, b"Exif\x00\x00" + EXIF[20:])
            ).replace(b"\xff\xdb", b"\xff\xff\xff" + segment(0xE1, XMP_HEAD + XMP) + b"\xff\xdb", 1),
            "JPEG",
            id="jpeg, in parts, with fill bytes",
        ),
        pytest.param(png((b"eXIf", EXIF), (b"iTXt", PNG_XMP)), "PNG", id="png"),
        pytest.param(png(behind=[(b"iTXt", PNG_XMP), (b"eXIf", EXIF)]), "PNG", id="png, behind the pixels"),
        pytest.param(
            png(
                (b"zTXt", b"Raw profile type exif\x00\x00" + zlib.compress(profile("exif", b"Exif\x00\x00" + EXIF))),
                (b"iTXt", b"XML:com.adobe.xmp\x00\x01\x00\x00\x00" + zlib.compress(XMP)),
            ),
            "PNG",
            id="png, compressed and hexadecimal",
        ),
        pytest.param(WEBP_FILE, "WEBP", id="webp"),
        pytest.param(heif(), "HEIF", id="heif"),
        pytest.param(hand_made_heif(), "HEIF", id="heif, in idat, in parts, behind the pixels"),
        pytest.param(
            tiff([(MAKE, ASCII, b"Leica\x00"), (ORIENTATION, SHORT, (6,)), (0x02BC, BYTE, XMP)]), "TIFF", id="tiff"
        ),
    ],
)  # fmt: skip
def test_finds_exif_and_xmp(data: bytes, image_format: str) -> None:
    assert read(data, image_format) == BOTH


def test_finds_the_items_of_avif() -> None:
    data = saved(noise(64), "AVIF", exif=b"Exif\x00\x00" + EXIF, xmp=XMP)
    # Pillow moves the orientation from EXIF into a box of the format
    assert read(data, "AVIF") == PhotoMetadata(make="Leica", title="A title")


def test_finds_xmp_and_the_comment_of_gif() -> None:
    application = b"\x21\xff\x0bXMP DataXMP" + XMP + XMP_TRAILER + b"\x00"
    comment = b"\x21\xfe\x05Hello\x07, world\x00"
    metadata = read(gif(application, comment), "GIF")
    assert metadata == PhotoMetadata(title="A title", tags={"GIF Comment": "Hello, world"})


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(jpeg((0xED, photoshop((1000, b"x"), (0x0404, iim((2, 5, b"A title")))))), id="jpeg"),
        pytest.param(
            png((b"tEXt", b"Raw profile type iptc\x00" + profile("iptc", resource(0x0404, iim((2, 5, b"A title")))))),
            id="png",
        ),
        pytest.param(tiff([(0x83BB, BYTE, iim((2, 5, b"A title")))]), id="tiff"),
        pytest.param(tiff([(0x8649, BYTE, resource(0x0404, iim((2, 5, b"A title"))))]), id="tiff, photoshop"),
    ],
)  # fmt: skip
def test_finds_iptc(data: bytes) -> None:
    image_format = {b"\xff\xd8": "JPEG", b"\x89P": "PNG", b"II": "TIFF"}[data[:2]]
    assert read(data, image_format) == PhotoMetadata(title="A title")


def test_reads_the_texts_of_png() -> None:
    data = png(
        (b"tEXt", b"Title\x00Caf\xe9"),
        (b"iTXt", b"Description\x00\x00\x00de\x00\x00Stra\xc3\x9fe"),
        (b"tEXt", b"Software\x00Mathematica"),
        (b"tEXt", b"Disclaimer\x00none"),
    )
    assert read(data, "PNG") == PhotoMetadata(
        title="Café", description="Straße", software="Mathematica", tags={"PNG Disclaimer": "none"}
    )


def _padded_jpeg() -> bytes:
    """A photo whose metadata lies behind half a megabyte of colour profile, before a megabyte of scan."""
    scan = JPEG_FILE.index(b"\xff\xda")
    profile = segment(0xE2, b"x" * 65_000) * 8
    return JPEG_FILE[:2] + profile + JPEG_FILE[2:scan] + JPEG_FILE[scan:] + b"\x00" * MEGABYTE


def _padded_png() -> bytes:
    pixels = png_chunk(b"IDAT", b"\x00" * 8192) * 128
    return png((b"eXIf", EXIF), (b"iTXt", PNG_XMP))[:-12] + pixels + png_chunk(b"IEND", b"")


def _padded_webp() -> bytes:
    """The same chunks, with a megabyte of another between the pixels and the metadata."""
    place = WEBP_FILE.index(b"EXIF")
    data = WEBP_FILE[:place] + b"JUNK" + struct.pack("<I", MEGABYTE) + b"\x00" * MEGABYTE + WEBP_FILE[place:]
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]


def _padded_tiff() -> bytes:
    """The directory at the far end of the file, as Photoshop writes it."""
    inner = tiff([(ORIENTATION, SHORT, (6,))])
    return inner[:4] + struct.pack("<I", 8 + MEGABYTE) + b"\x00" * MEGABYTE + inner[8:]


@pytest.mark.parametrize(
    ("data", "image_format", "at_most"),
    [
        pytest.param(_padded_jpeg(), "JPEG", 10 * 8192, id="jpeg"),  # a page for each segment that is passed over
        pytest.param(_padded_png(), "PNG", 8192 + 130 * 8, id="png"),
        pytest.param(_padded_webp(), "WEBP", 8192 + 2 * 8192, id="webp"),
        pytest.param(_padded_tiff(), "TIFF", 2 * 8192, id="tiff"),
    ],
)
def test_passes_over_what_is_not_metadata(data: bytes, image_format: str, at_most: int) -> None:
    file = CountingFile(data)
    metadata = read_metadata(file, image_format=image_format)
    assert (metadata.orientation, metadata.warnings) == (6, ())
    assert file.bytes_read <= at_most


@pytest.mark.parametrize(
    ("name", "image_format", "at_most"),
    [
        ("exif/mobile/HMD_Nokia_8.3_5G.jpg", "JPEG", 8_192),
        ("people/shea_whigham/1.jpg", "JPEG", 56_000),
        ("formats/samsung-one-ui-6.heic", "HEIF", 24_576),
        ("formats/iphone_13_pro_max.HEIC", "HEIF", 16_384),
        ("formats/8bit-sRGB.avif", "AVIF", 8_192),
        ("formats/denali.webp", "WEBP", 33_000),
        ("exif/BSG1.tiff", "TIFF", 16_384),
    ],
)
def test_reads_little_of_real_photos(shared_photos: Path, name: str, image_format: str, at_most: int) -> None:
    file = CountingFile((shared_photos / name).read_bytes())
    read_metadata(file, image_format=image_format)
    assert 0 < file.bytes_read <= at_most


def test_another_format_has_no_metadata_and_is_not_read() -> None:
    file = CountingFile(JPEG_FILE)
    assert read_metadata(file, image_format="BMP") == PhotoMetadata()
    assert file.bytes_read == 0


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF", "AVIF", "HEIF"])
def test_a_file_of_another_format_gives_a_warning(image_format: str) -> None:
    metadata = read(b"not an image at all", image_format)
    assert [(warning.code, warning.field) for warning in metadata.warnings] == [("container_damaged", "file")]


def test_big_tiff_is_not_supported_and_says_so() -> None:
    metadata = read(b"II\x2b\x00\x08\x00\x00\x00" + bytes(16), "TIFF")
    assert metadata == PhotoMetadata(warnings=(MetadataWarning("exif_unsupported", "exif", "BigTIFF"),))


def test_a_failing_storage_is_not_taken_for_a_damaged_file() -> None:
    class FailingFile(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("the disk is gone")

    for image_format in ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "HEIF", "TIFF"):
        with pytest.raises(OSError, match="the disk is gone"):
            read_metadata(FailingFile(JPEG_FILE), image_format=image_format)
