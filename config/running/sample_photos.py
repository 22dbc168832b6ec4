"""The photos of the first run: images that scikit-image carries, given the tags of a camera and a place."""

from dataclasses import dataclass
from pathlib import Path

import skimage
from PIL import ExifTags, Image

FOLDER = "sample-photos"


@dataclass(frozen=True, slots=True)
class Sample:
    """An image of scikit-image's and where and when it shall have been taken."""

    source: str
    taken: str
    latitude: float
    longitude: float
    description: str


SAMPLES = (
    Sample("astronaut.png", "1993:05:21 10:30:00", 29.5593, -95.0900, "Eileen Collins, NASA portrait"),
    Sample("chelsea.png", "2013:01:12 16:05:11", 51.4875, -0.1687, "Chelsea the cat"),
    Sample("coffee.png", "2013:03:02 09:14:40", 60.1699, 24.9384, "A cup of coffee"),
    Sample("rocket.jpg", "2015:02:11 18:03:00", 28.5618, -80.5772, "Falcon 9 on its pad"),
    Sample("hubble_deep_field.jpg", "1995:12:28 00:00:00", 39.3329, -76.6205, "Hubble Extreme Deep Field"),
)


def make_samples(var_dir: Path) -> Path:
    """Write the sample photos below `var_dir`, unless they are there; gives their folder."""
    folder = var_dir / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    data = Path(skimage.__file__).parent / "data"
    for sample in SAMPLES:
        target = folder / Path(sample.source).with_suffix(".jpg").name
        if target.is_file():
            continue
        with Image.open(data / sample.source, formats=("JPEG", "PNG")) as image:
            unfinished = target.with_suffix(".part")
            image.convert("RGB").save(unfinished, "JPEG", quality=92, exif=_exif(sample))
            unfinished.replace(target)
    return folder


def _exif(sample: Sample) -> Image.Exif:
    exif = Image.Exif()
    base = ExifTags.Base
    exif[base.Make], exif[base.Model], exif[base.ImageDescription] = "Darkroom", "Sample 1", sample.description
    exif[base.Orientation] = 1
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[base.DateTimeOriginal], details[base.OffsetTimeOriginal] = sample.taken, "+00:00"
    details[base.FNumber], details[base.ExposureTime], details[base.ISOSpeedRatings] = 4.0, 1 / 250, 200
    details[base.FocalLength] = 50.0
    place = exif.get_ifd(ExifTags.IFD.GPSInfo)
    tags = ExifTags.GPS
    place[tags.GPSLatitudeRef], place[tags.GPSLatitude] = "NS"[sample.latitude < 0], _degrees(sample.latitude)
    place[tags.GPSLongitudeRef], place[tags.GPSLongitude] = "EW"[sample.longitude < 0], _degrees(sample.longitude)
    return exif


def _degrees(value: float) -> tuple[float, float, float]:
    minutes, seconds = divmod(abs(value) * 3600, 60)
    degrees, minutes = divmod(minutes, 60)
    return degrees, minutes, round(seconds, 3)
