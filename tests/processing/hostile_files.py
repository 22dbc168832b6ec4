"""Files that are built to hurt, each valid in the eyes of the header's reader."""

import io
import struct
import zlib

import photo_samples
import pillow_heif
from hostile_decoder import MARK
from PIL import Image


def marked(act: str) -> bytes:
    """A small JPEG that makes the decoder of `hostile_decoder` act."""
    return photo_samples.picture(comment=MARK + act.encode() + b".")


def memory_bomb() -> bytes:
    """Sixty-four megapixels with transparency in 260 kB: four bytes each when decoded, and as much again to shrink."""
    return _nothing((8000, 8000))


def too_many_pixels() -> bytes:
    """Eighty-one megapixels in as little."""
    return _nothing((9000, 9000))


def exif_loop() -> bytes:
    """A JPEG whose EXIF directories all lead back to the first one, which has as many entries as it can."""
    entry = struct.pack(">HHII", 0x8769, 4, 1, 8)
    pointers = b"".join(struct.pack(">HHII", tag, 4, 1, 8) for tag in (0x8825, 0xA005, 0x014A))
    directory = entry + pointers
    count = len(directory) // 12
    block = b"MM\x00*" + struct.pack(">IH", 8, count) + directory + struct.pack(">I", 8)
    return photo_samples.picture(exif=b"Exif\x00\x00" + block)


def many_frames_gif(frames: int) -> bytes:
    """An animation of one pixel and so many frames."""
    head = b"GIF89a" + struct.pack("<HHBBB", 64, 48, 0x80, 0, 0) + b"\x00\x00\x00\xff\xff\xff"
    frame = b"!\xf9\x04\x00\x0a\x00\x00\x00" + b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return head + frame * frames + b";"


def many_frames_png(frames: int) -> bytes:
    """An animated PNG of so many frames of one pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixel = zlib.compress(b"\x00\xff\x00\x00")
    parts = [
        b"\x89PNG\r\n\x1a\n",
        chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)),
        chunk(b"acTL", struct.pack(">II", frames, 0)),
    ]
    for number in range(frames):
        control = struct.pack(">IIIIIHHBB", 2 * number, 1, 1, 0, 0, 1, 10, 0, 0)
        data = chunk(b"IDAT", pixel) if number == 0 else chunk(b"fdAT", struct.pack(">I", 2 * number - 1) + pixel)
        parts += [chunk(b"fcTL", control), data]
    return b"".join([*parts, chunk(b"IEND", b"")])


def many_frames_webp(frames: int) -> bytes:
    """An animated WebP of so many frames of one pixel."""
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1), "red").save(buffer, "WEBP", lossless=True)
    picture = buffer.getvalue()[12:]
    # x, y, width - 1, height - 1 and duration have three bytes each, then flags
    body = b"\0" * 12 + b"\x0a\0\0" + b"\0" + picture
    frame = b"ANMF" + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
    head = b"VP8X" + struct.pack("<IB3x3s3s", 10, 0x02, b"\0" * 3, b"\0" * 3)
    head += b"ANIM" + struct.pack("<IIH", 6, 0, 0)
    content = b"WEBP" + head + frame * frames
    return b"RIFF" + struct.pack("<I", len(content)) + content


def many_pages_tiff(pages: int) -> bytes:
    """A TIFF of so many pages, all of the same pixel."""
    tags = [(256, 3, 1), (257, 3, 1), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 3, 1)]
    tags.append((279, 4, 1))
    size = 2 + 12 * len(tags) + 4
    parts = [b"II*\x00" + struct.pack("<I", 12) + b"\x80\x00\x00\x00"]
    for page in range(pages):
        entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
        following = 12 + (page + 1) * size if page + 1 < pages else 0
        parts.append(struct.pack("<H", len(tags)) + entries + struct.pack("<I", following))
    return b"".join(parts)


def many_scans_jpeg(*, scans: int, size: tuple[int, int]) -> bytes:
    """A progressive JPEG that goes over all its pixels so many times, each time for a few bytes."""
    buffer = io.BytesIO()
    Image.new("L", size, 128).save(buffer, "JPEG", progressive=True, quality=50)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    tables = data.rindex(b"\xff\xc4", 0, last)
    return data[:-2] + data[tables:-2] * scans + b"\xff\xd9"


def cropped_heic(size: tuple[int, int], *, shown: tuple[int, int]) -> bytes:
    """A HEIC file of odd sides that are cropped to a few pixels, after all of them are decoded."""
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", size, "teal")).save(buffer)
    data = bytearray(buffer.getvalue())
    struct.pack_into(">8i", data, data.index(b"clap") + 4, shown[0], 1, shown[1], 1, 0, 1, 0, 1)
    return bytes(data)


def _nothing(size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGBA", size).save(buffer, "PNG", compress_level=9)
    return buffer.getvalue()
