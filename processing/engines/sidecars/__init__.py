"""What files beside a photo say of it: XMP of photo tools, JSON of Google Takeout; and which file belongs to which."""

from processing.engines.sidecars.pairing import Candidate, candidates
from processing.engines.sidecars.takeout import read_takeout
from processing.engines.sidecars.values import MAX_SIDECAR_BYTES, SidecarError, SidecarValues
from processing.engines.sidecars.xmp import read_xmp

__all__ = [
    "MAX_SIDECAR_BYTES",
    "Candidate",
    "SidecarError",
    "SidecarValues",
    "candidates",
    "read_takeout",
    "read_xmp",
]
