from django.apps import AppConfig


class PhotosConfig(AppConfig):
    """WHAT IS TRUE of a photo: originals, renditions, metadata, faces, embeddings, people."""

    name = "photos"
    default_auto_field = "django.db.models.BigAutoField"
