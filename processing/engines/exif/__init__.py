"""What a photo file says of itself: EXIF, XMP and IPTC, read from its head and made safe to store."""

from processing.engines.exif.metadata import MetadataWarning, PhotoMetadata
from processing.engines.exif.reader import read_metadata

__all__ = ["MetadataWarning", "PhotoMetadata", "read_metadata"]
