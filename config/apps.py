from django.apps import AppConfig


class DarkroomConfig(AppConfig):
    """The project itself: it is an app for its commands and system checks."""

    name = "config"
    label = "darkroom"

    def ready(self) -> None:
        """Make the Celery app the current one before anything is published."""
        from config import celery  # noqa: F401 - imported for its effect
