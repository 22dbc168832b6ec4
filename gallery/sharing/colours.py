"""The colour that stands where a photo will be."""

from thumbhash import thumb_hash_to_average_rgba

NEUTRAL = "#808080"
# a shorter one is no ThumbHash, and reading it may fail
THUMBHASH_MIN_BYTES = 6


def average_colour(thumbhash: bytes | memoryview | None) -> str:
    """Give the average colour of a ThumbHash as `#rrggbb`, a grey where there is none."""
    if thumbhash is None or len(thumbhash) < THUMBHASH_MIN_BYTES:
        return NEUTRAL
    red, green, blue, _alpha = thumb_hash_to_average_rgba(bytes(thumbhash))
    return "#" + "".join(f"{round(255 * part):02x}" for part in (red, green, blue))
