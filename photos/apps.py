from django.apps import AppConfig


class PhotosConfig(AppConfig):
    """WHAT IS TRUE of a photo: originals, renditions, metadata, faces, embeddings, people."""

    name = "photos"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks."""
        from photos import checks  # noqa: F401 - imported for its effect
