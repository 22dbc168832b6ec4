"""Pixels: headers, renditions, hashes, face chips, and the limits under which strangers' files are decoded.

Each name is loaded when it is first asked for: the web process, which only reads headers, never loads Pillow or libheif
through this package, and the processes that work on faces never load a decoder of strangers' files.
"""

from importlib import import_module

_MODULES = {
    "Box": "results",
    "EncodedRendition": "results",
    "FaceChip": "results",
    "ImageHeader": "results",
    "MEDIA_TYPES": "header",
    "PixelWarning": "results",
    "Point": "results",
    "RenditionSet": "results",
    "apply_limits": "limits",
    "coded_pixels": "header",
    "check_scans": "scan_check",
    "cut_chip": "chips",
    "decode_rgb": "chips",
    "load_decoders": "warming",
    "may_end_by_signal": "time_limits",
    "read_header": "header",
    "render": "renditions",
    "task_ends_in": "time_limits",
    "time_allowance": "time_limits",
    "time_limited": "time_limits",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
