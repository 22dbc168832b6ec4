from django.apps import AppConfig


class GalleryConfig(AppConfig):
    """EVERY WAY IN AND OUT: the REST API, the admin site, downloads and shared links."""

    name = "gallery"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks."""
        from gallery import checks  # noqa: F401 - imported for its effect
