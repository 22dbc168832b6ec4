"""The admin site of photos, people and processing: pages that show a photo together with its runs."""

from django.contrib import admin

from gallery.admin import (
    albums,
    api_keys,
    audit,
    decisions,
    duplicates,
    edits,
    erasures,
    exports,
    faces,
    imports,
    libraries,
    pages,
    people,
    photos,
    runs,
    shares,
    tags,
    uploads,
    workers,
)

__all__ = [
    "albums",
    "api_keys",
    "audit",
    "decisions",
    "duplicates",
    "edits",
    "erasures",
    "exports",
    "faces",
    "imports",
    "libraries",
    "pages",
    "people",
    "photos",
    "runs",
    "shares",
    "tags",
    "uploads",
    "workers",
]

# django-unfold's hook for pages of one's own
admin.site.extra_urls = pages.urls
