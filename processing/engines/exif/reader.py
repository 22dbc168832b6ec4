"""Reads all metadata of a photo and chooses among its sources."""

import io
from dataclasses import asdict
from typing import BinaryIO

from processing.engines.exif.camera import read_camera, read_words
from processing.engines.exif.containers import read_blocks
from processing.engines.exif.dates import read_gps_time, read_taken
from processing.engines.exif.facts import Facts
from processing.engines.exif.gps import read_place
from processing.engines.exif.iptc import add_photoshop_resources, add_records
from processing.engines.exif.metadata import PhotoMetadata
from processing.engines.exif.source import ByteSource
from processing.engines.exif.tags import remaining_tags
from processing.engines.exif.tiff import read_tiff
from processing.engines.exif.xmp import add_packet


def read_metadata(file: BinaryIO, *, image_format: str) -> PhotoMetadata:
    """Read what a photo says of itself from a seekable binary file, from as little of it as the format lets.

    `image_format` is JPEG, PNG, WEBP, GIF, AVIF, TIFF or HEIF, as the header reader says; another has no metadata.
    Any bytes give a result: what cannot be read or believed is None, with a warning. Only what the file object itself
    raises passes through. The position of the file is left anywhere.
    """
    facts = Facts()
    _gather(ByteSource(file), image_format, facts)
    gps_time = read_gps_time(facts)
    place = read_place(facts)
    taken = read_taken(facts, gps_time)
    fields = {**asdict(read_camera(facts)), **asdict(read_words(facts)), **asdict(place)}
    if taken:
        fields |= {
            "taken_at_local": taken.local,
            "taken_at_offset_minutes": taken.offset_minutes,
            "taken_at_source": taken.source,
            "taken_at_tag": taken.tag,
        }
    tags = remaining_tags(facts)
    return PhotoMetadata(**fields, gps_time=gps_time, tags=tags, warnings=facts.warnings())


def _gather(source: ByteSource, image_format: str, facts: Facts) -> None:
    blocks = read_blocks(source, image_format, facts)
    if image_format == "TIFF":
        embedded = read_tiff(source, facts)
    elif blocks.exif:
        embedded = read_tiff(ByteSource(io.BytesIO(blocks.exif)), facts)
    else:
        embedded = None
    if embedded:
        blocks.xmp += [embedded.xmp] if embedded.xmp else []
        blocks.photoshop = blocks.photoshop or embedded.photoshop
        blocks.iptc = blocks.iptc or embedded.iptc
    for packet in blocks.xmp:
        add_packet(packet, facts)
    if blocks.photoshop:
        add_photoshop_resources(blocks.photoshop, facts)
    if blocks.iptc:
        add_records(blocks.iptc, facts)
