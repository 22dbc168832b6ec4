"""The pages of the admin that are not about one model."""

from django.urls import URLPattern

from gallery.admin import dead_letters, pipeline


def urls() -> list[URLPattern]:
    """Give their addresses, below that of the admin."""
    return [*dead_letters.urls(), *pipeline.urls()]
