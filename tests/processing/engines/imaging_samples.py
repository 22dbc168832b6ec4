"""Small pictures in every format that is taken in, made anew for each run."""

import io
import struct
from functools import cache

import pillow_heif
from PIL import Image

WIDTH, HEIGHT = 96, 64


def picture(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """Return an RGB picture without any symmetry: red grows to the right, green downwards, a blue corner top left."""
    red = Image.linear_gradient("L").rotate(90).resize((width, height))
    green = Image.linear_gradient("L").resize((width, height))
    blue = Image.new("L", (width, height))
    blue.paste(255, (0, 0, width // 4, height // 4))
    return Image.merge("RGB", (red, green, blue))


def encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    """Return `image` as a file of `image_format`; `exif` becomes a rotation of the container in HEIF and AVIF."""
    output = io.BytesIO()
    if image_format == "HEIF":
        heif = pillow_heif.from_pillow(image)
        if "exif" in options:
            heif.info["exif"] = options.pop("exif").tobytes()
        heif.save(output, **options)
    else:
        image.save(output, image_format, **options)
    return output.getvalue()


def exif_with_orientation(orientation: int) -> Image.Exif:
    """Return EXIF that holds nothing but the orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@cache
def samples() -> dict[str, tuple[str, bytes]]:
    """Return name -> (format, file): one picture in each format, and in the variants whose headers differ."""
    image = picture()
    return {
        "jpeg": ("JPEG", encoded(image, "JPEG", quality=90)),
        "jpeg_progressive": ("JPEG", encoded(image, "JPEG", quality=90, progressive=True)),
        "jpeg_cmyk": ("JPEG", encoded(image.convert("CMYK"), "JPEG", quality=90)),
        "jpeg_exif": ("JPEG", encoded(image, "JPEG", exif=exif_with_orientation(1), comment=b"remark")),
        "mpo": ("JPEG", encoded(image, "MPO", save_all=True, append_images=[image.rotate(180)])),
        "png": ("PNG", encoded(image, "PNG")),
        "png_palette": ("PNG", encoded(image.quantize(32), "PNG")),
        "webp_lossy": ("WEBP", encoded(image, "WEBP", quality=90)),
        "webp_lossless": ("WEBP", encoded(image, "WEBP", lossless=True)),
        "webp_extended": ("WEBP", encoded(image, "WEBP", exif=exif_with_orientation(1))),
        "gif": ("GIF", encoded(image, "GIF")),
        "gif_animated": ("GIF", encoded(image, "GIF", save_all=True, append_images=[image.rotate(180)])),
        "avif": ("AVIF", encoded(image, "AVIF", quality=90, speed=10)),
        "tiff": ("TIFF", encoded(image, "TIFF")),
        "tiff_lzw": ("TIFF", encoded(image, "TIFF", compression="tiff_lzw")),
        "tiff_big": ("TIFF", encoded(image, "TIFF", big_tiff=True)),
        "heif": ("HEIF", encoded(image, "HEIF", quality=90)),
    }


def cropped_heif(width: int, height: int, *, shown: tuple[int, int]) -> bytes:
    """Return a HEIF file that shows the middle of its picture only; libheif crops a picture of odd sides by itself."""
    data = bytearray(encoded(picture(width, height), "HEIF"))
    start = data.index(b"clap") + 4
    data[start : start + 32] = struct.pack(">8i", shown[0], 1, shown[1], 1, 0, 1, 0, 1)
    return bytes(data)
