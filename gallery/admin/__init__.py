"""The admin site of photos, people and processing: pages that show a photo together with its runs."""

from gallery.admin import libraries, people, photos, pipeline

__all__ = ["libraries", "people", "photos", "pipeline"]
