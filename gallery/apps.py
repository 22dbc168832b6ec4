from django.apps import AppConfig


class GalleryConfig(AppConfig):
    """EVERY WAY IN AND OUT: the REST API and the admin site."""

    name = "gallery"
    default_auto_field = "django.db.models.BigAutoField"
