"""The colour that stands where a photo will be."""

NEUTRAL = "#808080"


def average_colour(thumbhash: bytes | memoryview | None) -> str:
    """Give the average colour of a ThumbHash as `#rrggbb` (evanw/thumbhash, `thumbHashToAverageRGBA`)."""
    if thumbhash is None or len(thumbhash) < 3:
        return NEUTRAL
    header = int.from_bytes(bytes(thumbhash[:3]), "little")
    light = (header & 63) / 63
    yellow_blue = (header >> 6 & 63) / 31.5 - 1
    red_green = (header >> 12 & 63) / 31.5 - 1
    blue = light - 2 / 3 * yellow_blue
    red = (3 * light - blue + red_green) / 2
    green = red - red_green
    return "#" + "".join(f"{round(255 * min(max(part, 0), 1)):02x}" for part in (red, green, blue))
