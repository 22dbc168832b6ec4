"""The pages of the admin that are not about one model."""

from django.urls import URLPattern

from accounts import admin_second_factor
from gallery.admin import dead_letters, pipeline


def urls() -> list[URLPattern]:
    """Give their addresses, below that of the admin."""
    return [*dead_letters.urls(), *pipeline.urls(), *admin_second_factor.urls()]
