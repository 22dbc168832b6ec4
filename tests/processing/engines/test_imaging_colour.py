"""Colour: every kind of pixel comes out as 8-bit sRGB on white, by the file's profile where it has a sound one."""

import io
import struct

import numpy as np
import pytest
from imaging_samples import encoded, picture
from PIL import Image, ImageCms

from processing.engines.imaging.chips import decode_rgb
from processing.engines.imaging.colour import to_srgb, unpack
from processing.engines.imaging.renditions import render

# Colorants on D50, as the profiles of these names hold them: columns are red, green, blue; rows X, Y, Z.
SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
DISPLAY_P3 = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
ADOBE_RGB = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
ADOBE_GAMMA = 563 / 256


def srgb_curve(encoded_value: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1: encoded 0..1 to linear 0..1."""
    return np.where(encoded_value <= 0.04045, encoded_value / 12.92, ((encoded_value + 0.055) / 1.055) ** 2.4)


def srgb_encode(linear: np.ndarray) -> np.ndarray:
    clipped = np.clip(linear, 0, 1)
    return np.where(clipped <= 0.0031308, clipped * 12.92, 1.055 * clipped ** (1 / 2.4) - 0.055)


def icc_profile(space: bytes, kind: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Assemble an ICC version 2.4 profile (ICC.1:2001-04) from its tags' data."""
    head = struct.pack(">4xI4s4s4s12x4s", 0x02400000, kind, space, connection, b"acsp")
    head = head.ljust(64, b"\0") + struct.pack(">I", 0) + struct.pack(">3i", 63190, 65536, 54061)
    head = head.ljust(124, b"\0")
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        padded = data.ljust(-(-len(data) // 4) * 4, b"\0")
        table += struct.pack(">4sII", name, start + len(body), len(data))
        body += padded
    profile = head + table + body
    return struct.pack(">I", len(profile) + 4) + profile


def xyz(values: np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def curve_of_gamma(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def curve_of_srgb() -> bytes:
    table = np.round(srgb_curve(np.linspace(0, 1, 4096)) * 65535).astype(int)
    return b"curv\0\0\0\0" + struct.pack(f">I{len(table)}H", len(table), *table)


def rgb_profile(colorants: np.ndarray, curve: bytes) -> bytes:
    tags = {b"wtpt": xyz(np.array([0.9642, 1.0, 0.8249]))}
    tags |= {name + b"XYZ": xyz(colorants[:, i]) for i, name in enumerate((b"r", b"g", b"b"))}
    tags |= {name + b"TRC": curve for name in (b"r", b"g", b"b")}
    return icc_profile(b"RGB ", b"mntr", b"XYZ ", tags)


def grey_profile(gamma: float) -> bytes:
    tags = {b"wtpt": xyz(np.array([0.9642, 1.0, 0.8249])), b"kTRC": curve_of_gamma(gamma)}
    return icc_profile(b"GRAY", b"mntr", b"XYZ ", tags)


def cmyk_profile() -> bytes:
    """A printing profile in which only the black ink shows: L* falls with K from 100 to 0, whatever C, M, Y are."""
    ramp = bytes(range(256))
    colours = b"".join(bytes([0 if black else 255, 128, 128]) for _ in range(8) for black in (0, 1))
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + ramp * 4 + colours + ramp * 3
    tags = {b"wtpt": xyz(np.array([0.9642, 1.0, 0.8249])), b"A2B0": table}
    return icc_profile(b"CMYK", b"prtr", b"Lab ", tags)


def pixels(image: Image.Image, profile: bytes | None = None) -> np.ndarray:
    return np.asarray(to_srgb(unpack(image), profile)).astype(int)


def patch(image: Image.Image, image_format: str = "TIFF", **options: object) -> list[int]:
    """Return the colour of the middle of the rendition of `image`, which goes through a real file."""
    data = encoded(image, image_format, **options)
    result = render(io.BytesIO(data), sizes={"preview": 32}, quality=95, max_pixels=1_000_000)
    return decode_rgb(result.renditions[0].data)[12:20, 12:20].reshape(-1, 3).mean(axis=0).round().astype(int).tolist()


def close(found: list[int], expected: tuple[int, int, int], tolerance: int = 2) -> bool:
    return all(abs(one - other) <= tolerance for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("colorants", "curve", "linear"),
    [
        (DISPLAY_P3, curve_of_srgb(), srgb_curve),
        (ADOBE_RGB, curve_of_gamma(ADOBE_GAMMA), lambda value: value**ADOBE_GAMMA),
    ],
    ids=["Display P3", "Adobe RGB"],
)
def test_wide_colours_become_srgb(colorants: np.ndarray, curve: bytes, linear: object) -> None:
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    lattice = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(len(levels), -1, 3)
    in_srgb = linear(lattice / 255) @ (np.linalg.inv(SRGB) @ colorants).T
    expected = np.round(srgb_encode(in_srgb) * 255).astype(int)
    profile = rgb_profile(colorants, curve)
    converted = pixels(Image.fromarray(lattice), profile)
    assert np.abs(converted - expected).max() <= 1
    # the same through a file: a colour within both gamuts, and one that sRGB clips
    for colour in ((200, 120, 60), (0, 255, 0)):
        wide = np.array(colour, dtype=np.uint8) / 255
        told = np.round(srgb_encode((np.linalg.inv(SRGB) @ colorants) @ linear(wide)) * 255)
        image = Image.new("RGB", (32, 32), colour)
        assert close(patch(image, "PNG", icc_profile=profile), tuple(told.astype(int)))
        assert close(patch(image, "JPEG", quality=95, icc_profile=profile), tuple(told.astype(int)), 3)


def test_an_srgb_profile_changes_nothing() -> None:
    image = picture()
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (made, rgb_profile(SRGB, curve_of_srgb())):
        assert np.array_equal(pixels(image.copy(), profile), np.asarray(image))


@pytest.mark.parametrize(
    "profile",
    [
        b"",
        b"not a profile",
        rgb_profile(DISPLAY_P3, curve_of_srgb())[:200],
        rgb_profile(DISPLAY_P3, curve_of_srgb())[:128] + b"\xff" * 400,
        grey_profile(1.8),
        cmyk_profile(),
    ],
    ids=["empty", "text", "cut", "garbled", "of greys", "of inks"],
)
def test_an_unfit_profile_is_left_aside(profile: bytes) -> None:
    image = picture()
    assert np.array_equal(pixels(image.copy(), profile), np.asarray(image))
    assert close(patch(Image.new("RGB", (32, 32), (200, 120, 60)), "PNG", icc_profile=profile), (200, 120, 60))


def test_grey_with_a_profile_of_greys() -> None:
    ramp = Image.linear_gradient("L")
    for gamma in (1.0, 1.8, 2.2):
        curve = (np.asarray(ramp) / 255) ** (round(gamma * 256) / 256)
        expected = np.round(srgb_encode(curve) * 255).astype(int)
        assert np.array_equal(pixels(ramp, grey_profile(gamma)), np.stack([expected] * 3, axis=-1)), gamma
    assert np.array_equal(pixels(ramp, rgb_profile(DISPLAY_P3, curve_of_srgb()))[..., 1], np.asarray(ramp))


def test_sixteen_bit_grey() -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    expected = np.round(values / 257).astype(int)
    for image in (Image.fromarray(values), Image.fromarray(values.astype(">u2"))):
        assert image.mode in {"I;16", "I;16B"}
        assert np.array_equal(pixels(image)[..., 0], expected)
    half = Image.fromarray(np.full((32, 32), 0x8080, dtype=np.uint16))
    assert close(patch(half, "PNG"), (128, 128, 128))
    assert close(patch(half, "TIFF"), (128, 128, 128))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 128, 255]], dtype=np.int32), [0, 128, 255]),
        (np.array([[0, 32896, 65535]], dtype=np.int32), [0, 128, 255]),
        (np.array([[-5, 2**30, 2**31 - 1]], dtype=np.int32), [0, 128, 255]),
        (np.array([[0, 0.5, 1]], dtype=np.float32), [0, 128, 255]),
        (np.array([[-3, 100.2, 255]], dtype=np.float32), [0, 100, 255]),
        (np.array([[0, 2.0**32, 2.0**33]], dtype=np.float32), [0, 128, 255]),
        (np.array([[0, 0, 0]], dtype=np.float32), [0, 0, 0]),
        (np.array([[np.inf, 0.5, 0]], dtype=np.float32), [255, 128, 0]),
    ],
)
def test_deep_grey(values: np.ndarray, expected: list[int]) -> None:
    assert pixels(Image.fromarray(values))[0, :, 1].tolist() == expected


def test_float_and_integer_tiff() -> None:
    assert close(patch(Image.new("F", (32, 32), 0.25)), (64, 64, 64))
    assert close(patch(Image.new("I", (32, 32), 40000)), (156, 156, 156))


def test_single_bits_are_averaged() -> None:
    checks = Image.fromarray((np.indices((256, 256)).sum(axis=0) % 2).astype(bool))
    assert checks.mode == "1"
    assert close(patch(checks, "PNG"), (128, 128, 128))
    assert close(patch(checks, "TIFF", compression="group4"), (128, 128, 128))


def test_a_palette_is_averaged_as_colours() -> None:
    stripes = Image.new("P", (256, 256))
    stripes.putpalette([250, 10, 10, 10, 10, 250])
    stripes.paste(1, (0, 0, 256, 256), Image.fromarray((np.indices((256, 256))[1] % 2 * 255).astype(np.uint8)))
    assert close(patch(stripes, "PNG"), (130, 10, 130), 3)
    assert close(patch(stripes, "GIF"), (130, 10, 130), 3)


def test_transparency_is_white() -> None:
    half_red = Image.new("RGBA", (32, 32), (255, 0, 0, 128))
    for image_format in ("PNG", "TIFF", "WEBP"):
        assert close(patch(half_red, image_format), (255, 127, 127), 4), image_format
    assert close(patch(Image.new("LA", (32, 32), (0, 51)), "PNG"), (204, 204, 204))
    keyed = Image.new("P", (32, 32), 3)
    keyed.putpalette([9, 9, 9] * 4)
    for image_format in ("PNG", "GIF"):
        assert close(patch(keyed, image_format, transparency=3), (255, 255, 255))
    for image, key in ((Image.new("L", (32, 32), 7), 7), (Image.new("RGB", (32, 32), (1, 2, 3)), (1, 2, 3))):
        assert close(patch(image, "PNG", transparency=key), (255, 255, 255))
        assert close(patch(image, "PNG"), image.convert("RGB").getpixel((0, 0)))


def test_hidden_colours_do_not_shine_through() -> None:
    """Shrinking across an edge of transparency must not mix in the colour of pixels that cannot be seen."""
    image = Image.new("RGBA", (640, 640), (0, 255, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 321, 640))
    data = encoded(image, "PNG")
    result = render(io.BytesIO(data), sizes={"preview": 64}, quality=95, max_pixels=1_000_000)
    seen = decode_rgb(result.renditions[0].data).astype(int)
    # between blue and white red and green are equal
    assert np.abs(seen[..., 0] - seen[..., 1]).max() <= 12


def test_cmyk_without_a_profile() -> None:
    for ink, expected in (
        ((0, 0, 0, 0), (255, 255, 255)),
        ((0, 255, 255, 0), (255, 0, 0)),
        ((0, 0, 0, 255), (0, 0, 0)),
    ):
        image = Image.new("CMYK", (32, 32), ink)
        assert close(patch(image, "TIFF"), expected), ink
        assert close(patch(image, "JPEG", quality=95), expected, 3), ink


def test_cmyk_jpeg_with_and_without_adobe_marker() -> None:
    """Adobe stores ink inverted and says so by its marker; a file without it stores ink as it is."""
    data = encoded(Image.new("CMYK", (32, 32), (0, 200, 100, 0)), "JPEG", quality=95)
    marker = data.index(b"\xff\xee\x00\x0eAdobe")
    plain = data[:marker] + data[marker + 16 :]

    def middle(file: bytes) -> list[int]:
        result = render(io.BytesIO(file), sizes={"preview": 32}, quality=95, max_pixels=1_000_000)
        return decode_rgb(result.renditions[0].data)[16, 16].tolist()

    assert close(middle(data), (255, 55, 155), 3)
    assert close(middle(plain), (0, 0, 0), 3)  # 255, 55, 155 and 255 of ink


def test_cmyk_with_a_profile() -> None:
    profile = cmyk_profile()
    for image_format in ("TIFF", "JPEG"):
        assert close(
            patch(Image.new("CMYK", (32, 32), (255, 255, 255, 0)), image_format, icc_profile=profile), (255,) * 3
        )
        assert close(patch(Image.new("CMYK", (32, 32), (0, 0, 0, 255)), image_format, icc_profile=profile), (0,) * 3)
    large = Image.new("CMYK", (320, 320), (255, 255, 255, 0))  # drafted to a tenth
    assert close(patch(large, "JPEG", icc_profile=profile), (255, 255, 255))


def test_lab() -> None:
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    for colour in ((200, 120, 60), (255, 255, 255), (20, 40, 90)):
        assert close(patch(to_lab.apply(Image.new("RGB", (32, 32), colour))), colour, 3)


def test_luminance_and_chroma_tiff() -> None:
    image = Image.new("RGB", (32, 32), (200, 120, 60))
    assert close(patch(image.convert("YCbCr")), (200, 120, 60))
    assert close(patch(image, compression="jpeg", quality=95), (200, 120, 60), 3)
