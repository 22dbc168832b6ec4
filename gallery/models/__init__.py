"""What the ways out need to remember: links that show photos to people without an account."""

from gallery.models.share import Share, SharedPhoto

__all__ = ["Share", "SharedPhoto"]
