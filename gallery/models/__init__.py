"""What the ways out need to remember: links that show photos to people without an account."""

from gallery.models.album import Album, AlbumPhoto
from gallery.models.share import Share, SharedPhoto, ShareState

__all__ = ["Album", "AlbumPhoto", "Share", "ShareState", "SharedPhoto"]
