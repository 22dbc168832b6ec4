"""The camera and its settings, and what people wrote about the photo."""

from dataclasses import dataclass

from processing.engines.exif.facts import Facts, as_text
from processing.engines.exif.text import clean_text

MAX_KEYWORDS = 500
MAX_KEYWORD = 255
UNKNOWN_ISO = 65535  # what does not fit in the 16 bits of ISOSpeedRatings stands in two other tags


_WORDS = {
    "software": (("Image Software", "XMP xmp:CreatorTool", "PNG Software", "IPTC OriginatingProgram"), 255),
    "artist": (("Image Artist", "XMP dc:creator", "IPTC By-line", "Image XPAuthor", "PNG Author"), 255),
    "copyright": (("Image Copyright", "XMP dc:rights", "IPTC CopyrightNotice", "PNG Copyright"), 1000),
    "title": (("XMP dc:title", "IPTC ObjectName", "Image XPTitle", "PNG Title"), 1000),
    "description": (
        (
            "XMP dc:description",
            "IPTC Caption-Abstract",
            "Image ImageDescription",
            "Image XPComment",
            "PNG Description",
        ),
        10_000,
    ),
}


@dataclass(frozen=True, slots=True)
class Camera:
    """As the fields of the same names in PhotoMetadata."""

    make: str | None
    model: str | None
    lens_make: str | None
    lens: str | None
    exposure_time_s: float | None
    aperture: float | None
    iso: int | None
    focal_length_mm: float | None
    focal_length_35mm: float | None
    flash: int | None
    flash_fired: bool | None
    orientation: int | None


@dataclass(frozen=True, slots=True)
class Words:
    """As the fields of the same names in PhotoMetadata."""

    software: str | None
    artist: str | None
    copyright: str | None
    title: str | None
    description: str | None
    keywords: tuple[str, ...]
    rating: int | None


def read_camera(facts: Facts) -> Camera:
    """EXIF first, XMP where EXIF is silent. Bounds are wide: they refuse what no camera can do."""
    flash = facts.integer("flash", *_exif("Flash"), low=0, high=127)
    return Camera(
        make=facts.text("make", "Image Make", "XMP tiff:Make", limit=128),
        model=facts.text("model", "Image Model", "XMP tiff:Model", limit=128),
        lens_make=facts.text("lens_make", *_exif("LensMake"), "XMP exifEX:LensMake", limit=128),
        lens=facts.text("lens", *_exif("LensModel"), "XMP exifEX:LensModel", "XMP aux:Lens", limit=128),
        exposure_time_s=facts.number(
            "exposure_time_s", *_exif("ExposureTime"), "XMP exif:ExposureTime", low=1e-7, high=7 * 86_400
        ),
        aperture=facts.number("aperture", *_exif("FNumber"), "XMP exif:FNumber", low=0.1, high=1000),
        iso=_read_iso(facts),
        focal_length_mm=facts.number(
            "focal_length_mm", *_exif("FocalLength"), "XMP exif:FocalLength", low=0.1, high=20_000
        ),
        focal_length_35mm=_read_focal_length_35mm(facts),
        flash=flash,
        flash_fired=None if flash is None else bool(flash & 1),
        orientation=facts.integer("orientation", "Image Orientation", "XMP tiff:Orientation", low=1, high=8),
    )


def read_words(facts: Facts) -> Words:
    """What people wrote in XMP or IPTC goes before EXIF's description, where cameras put their own name."""
    text = {name: facts.text(name, *tags, limit=limit) for name, (tags, limit) in _WORDS.items()}
    return Words(
        **text,
        keywords=_read_keywords(facts),
        rating=facts.integer("rating", "XMP xmp:Rating", "Image Rating", low=-1, high=5),
    )


def _exif(name: str) -> tuple[str, str]:
    """TIFF/EP files hold EXIF's tags in their first directory."""
    return f"EXIF {name}", f"Image {name}"


def _read_iso(facts: Facts) -> int | None:
    tags = [*_exif("ISOSpeedRatings"), "XMP exifEX:PhotographicSensitivity", "XMP exif:ISOSpeedRatings"]
    first = facts.get(tags[0])
    if first and first.values[0] == UNKNOWN_ISO:
        tags[:1] = ["EXIF RecommendedExposureIndex", "EXIF ISOSpeed", tags[0]]
    return facts.integer("iso", *tags, low=1, high=10_000_000)


def _read_focal_length_35mm(facts: Facts) -> float | None:
    tags = [*_exif("FocalLengthIn35mmFilm"), "XMP exif:FocalLengthIn35mmFilm"]
    fact = facts.get(tags[0])
    if fact and fact.values[0] == 0:  # the standard's word for unknown, not an absurd value
        facts.use(tags.pop(0))
    return facts.number("focal_length_35mm", *tags, low=1, high=50_000)


def _read_keywords(facts: Facts) -> tuple[str, ...]:
    """XMP's and IPTC's together, each once, in their order; Windows' only where both are silent."""
    keywords: dict[str, None] = {}
    cut = 0
    for tag in ("XMP dc:subject", "IPTC Keywords", "Image XPKeywords"):
        fact = facts.get(tag)
        if fact is None or (tag == "Image XPKeywords" and keywords):
            continue
        texts = as_text(fact).split(";") if tag == "Image XPKeywords" else map(str, fact.values)
        for text in texts:
            keyword = clean_text(text)
            cut += len(keyword) > MAX_KEYWORD
            if keyword:
                keywords.setdefault(keyword[:MAX_KEYWORD].strip())
        facts.use(tag)
    cut += max(0, len(keywords) - MAX_KEYWORDS)
    if cut:
        facts.warn("keywords_cut", "keywords", f"{cut}")
    return tuple(keywords)[:MAX_KEYWORDS]
