"""The good files that mutations start from."""

import io
from pathlib import Path

import pillow_heif
from PIL import Image, ImageDraw
from real_photos import REAL_PHOTOS

_NO_SAMPLES = frozenset({".md", ".json", ".txt"})
_ORIENTATION, _MAKE, _DATE, _EXIF, _GPS = 0x0112, 0x010F, 0x9003, 0x8769, 0x8825


def sample_files(photos: Path | None, *, generated: Path) -> list[Path]:
    """List the photos below a folder; without one, the real photos, and without those small pictures made here."""
    folder = photos or REAL_PHOTOS
    if not folder.is_dir():
        if photos is not None:
            raise SystemExit(f"There is no folder {photos}.")
        return write_samples(generated)
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix not in _NO_SAMPLES)
    samples = [path for path in found if path.stat().st_size]
    if not samples:
        raise SystemExit(f"There are no files below {folder}.")
    return samples


def write_samples(folder: Path) -> list[Path]:
    """Write a picture in each format that is taken in, with metadata where the format has it."""
    folder.mkdir(parents=True, exist_ok=True)
    image = Image.radial_gradient("L").resize((320, 240)).convert("RGB")
    ImageDraw.Draw(image).ellipse((40, 30, 200, 180), fill=(200, 60, 30))
    exif = _tags()
    frames = [image.rotate(angle) for angle in (90, 180)]
    animated = {"save_all": True, "append_images": frames}
    made = {
        "baseline.jpg": ("JPEG", {"exif": exif, "quality": 85}),
        "progressive.jpg": ("JPEG", {"exif": exif, "progressive": True, "comment": "made here"}),
        "restarts.jpg": ("JPEG", {"restart_marker_blocks": 8}),
        "true_colour.png": ("PNG", {"exif": exif}),
        "animated.png": ("PNG", animated),
        "lossy.webp": ("WEBP", {"exif": exif}),
        "lossless.webp": ("WEBP", {"lossless": True}),
        "animated.webp": ("WEBP", animated),
        "still.gif": ("GIF", {"comment": "made here"}),
        "animated.gif": ("GIF", animated),
        "plain.tiff": ("TIFF", {"exif": exif}),
        "lzw.tiff": ("TIFF", {"compression": "tiff_lzw"}),
        "pages.tiff": ("TIFF", {"compression": "jpeg", **animated}),
        "deflate.tiff": ("TIFF", {"compression": "tiff_adobe_deflate"}),
        "still.avif": ("AVIF", {"exif": exif, "speed": 10}),
    }
    for name, (image_format, options) in made.items():
        image.save(folder / name, image_format, **options)
    for name, mode in {"palette.png": "P", "grey.png": "L", "bits.png": "1", "alpha.png": "RGBA"}.items():
        image.convert(mode).save(folder / name)
    image.convert("I").convert("I;16").save(folder / "deep.png")
    image.convert("CMYK").save(folder / "cmyk.jpg")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, exif=exif)
    (folder / "still.heic").write_bytes(buffer.getvalue())
    return sorted(folder.iterdir())


def _tags() -> bytes:
    exif = Image.Exif()
    exif[_ORIENTATION], exif[_MAKE] = 6, "Made here"
    exif.get_ifd(_EXIF)[_DATE] = "2024:05:06 07:08:09"
    exif.get_ifd(_GPS).update({1: "N", 2: (51.0, 30.0, 0.0), 3: "W", 4: (0.0, 7.0, 30.0)})
    return exif.tobytes()
