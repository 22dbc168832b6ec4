"""From whatever a file's pixels are to 8-bit sRGB on white."""

import io
import math
from functools import lru_cache

from PIL import Image, ImageChops, ImageCms

_AVERAGED_AS_STORED = frozenset({"L", "LA", "RGB", "RGBA", "CMYK", "LAB"})
_WHITES_32_BIT = (255.0, 65535.0, 2.0**31 - 1)
_PROFILE_ERRORS = (ImageCms.PyCMSError, OSError, TypeError, ValueError)
_PROBES_PER_CHANNEL = 17


def unpack(image: Image.Image) -> Image.Image:
    """Return `image` as L, LA, RGB, RGBA, CMYK or LAB, whose 8-bit pixels may be averaged."""
    if image.mode.startswith("I;16"):
        return image.convert("I").point([(value * 255 + 32767) // 65535 for value in range(65536)], "L")
    if image.mode in {"I", "F"}:
        scale = 255 / _white(image)
        return image.convert("F").point(lambda value: value * scale + 0.5).convert("L")
    if image.mode in _AVERAGED_AS_STORED and "transparency" not in image.info:
        return image
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image.convert("L" if image.mode == "1" else "RGB")


def to_srgb(image: Image.Image, icc_profile: bytes | None) -> Image.Image:
    """Return `image`, in a mode that `unpack` returns, as 8-bit sRGB over white and without metadata.

    The profile is left aside where it is broken, where it describes another kind of pixels, and where it is
    sRGB itself. `image` may be changed in place.
    """
    alpha = image.getchannel("A") if image.mode in {"LA", "RGBA"} else None
    rgb = _colour_managed(image.convert(image.mode.removesuffix("A")) if alpha else image, icc_profile)
    if alpha is not None and alpha.getextrema() != (255, 255):
        rgb = Image.composite(rgb, Image.new("RGB", rgb.size, "white"), alpha)
    rgb.info = {}
    return rgb


def _white(image: Image.Image) -> float:
    """Return the value of white of a 32-bit or float grey: the least usual one that no pixel exceeds."""
    brightest = float(image.getextrema()[1])
    usual = (1.0, *_WHITES_32_BIT) if image.mode == "F" else _WHITES_32_BIT
    for white in usual:
        if brightest <= white:
            return white
    return brightest if math.isfinite(brightest) else usual[0]


def _colour_managed(image: Image.Image, icc_profile: bytes | None) -> Image.Image:
    if image.mode == "LAB":
        lab = ImageCms.buildTransform(ImageCms.createProfile("LAB"), _srgb(), "LAB", "RGB")
        return lab.apply(image)
    transform = _transform(icc_profile, image.mode) if icc_profile else None
    if transform is None or (image.mode == "RGB" and _changes_nothing(transform)):
        return image.convert("RGB")
    return transform.apply(image)


def _transform(icc_profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    # The table that the optimiser makes for greys is up to 10 levels off in the shadows, and no faster.
    flags = ImageCms.Flags.NOOPTIMIZE if mode == "L" else ImageCms.Flags.NONE
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
        return ImageCms.buildTransform(profile, _srgb(), mode, "RGB", flags=flags)
    except _PROFILE_ERRORS:
        return None  # a broken profile costs the colours some truth, not the photo its renditions


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Tell whether no probe moves by more than a level: most profiles are sRGB itself, under many names."""
    moved = ImageChops.difference(transform.apply(_probes()), _probes())
    return max(high for _, high in moved.getextrema()) <= 1


@lru_cache(maxsize=1)
def _probes() -> Image.Image:
    """Return a lattice of colours over the RGB cube as one image."""
    levels = [round(step * 255 / (_PROBES_PER_CHANNEL - 1)) for step in range(_PROBES_PER_CHANNEL)]
    colours = bytes(channel for r in levels for g in levels for b in levels for channel in (r, g, b))
    return Image.frombytes("RGB", (_PROBES_PER_CHANNEL, _PROBES_PER_CHANNEL**2), colours)
