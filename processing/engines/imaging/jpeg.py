"""The one format that is written."""

import io

from PIL import Image


def encode_jpeg(image: Image.Image, *, quality: int, subsampling: str = "4:2:0") -> bytes:
    """Return `image` (RGB) as a baseline JPEG that holds its pixels and nothing else."""
    output = io.BytesIO()
    image.save(output, "JPEG", quality=quality, subsampling=subsampling)
    return output.getvalue()
