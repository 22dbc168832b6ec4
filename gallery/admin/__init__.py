"""The admin site of photos, people and processing: pages that show a photo together with its runs."""

from django.contrib import admin

from gallery.admin import (
    api_keys,
    audit,
    erasures,
    exports,
    imports,
    libraries,
    pages,
    people,
    photos,
    runs,
    shares,
    uploads,
    workers,
)

__all__ = [
    "api_keys",
    "audit",
    "erasures",
    "exports",
    "imports",
    "libraries",
    "pages",
    "people",
    "photos",
    "runs",
    "shares",
    "uploads",
    "workers",
]

# django-unfold's hook for pages of one's own
admin.site.extra_urls = pages.urls
