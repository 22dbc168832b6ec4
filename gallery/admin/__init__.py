"""The admin site of photos, people and processing: pages that show a photo together with its runs."""

from django.contrib import admin

from gallery.admin import erasures, libraries, pages, people, photos, runs, workers

__all__ = ["erasures", "libraries", "pages", "people", "photos", "runs", "workers"]

# django-unfold's hook for pages of one's own
admin.site.extra_urls = pages.urls
