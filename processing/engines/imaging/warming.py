"""Loading what decoding needs before the first file comes, which would be charged for it."""

import io

from PIL import Image

from processing.engines.imaging import scan_check
from processing.engines.imaging.renditions import render

_SIZE, _QUALITY = (64, 48), 80


def load_decoders() -> None:
    """Make the renditions of a picture of our own: libraries load parts of themselves when they are first used.

    It takes about a second. A process that is forked afterwards has them already.
    """
    picture = io.BytesIO()
    Image.linear_gradient("L").resize(_SIZE).convert("RGB").save(picture, "JPEG")
    render(picture, sizes={"preview": _SIZE[0]}, quality=_QUALITY, max_pixels=_SIZE[0] * _SIZE[1])
    scan_check.check_scans(picture, image_format="JPEG")
