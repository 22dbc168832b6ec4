from django.apps import AppConfig


class ProcessingConfig(AppConfig):
    """HOW IT CAME TO BE: stages, the ledger of their runs, Celery tasks, engines, models."""

    name = "processing"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks."""
        from processing import checks  # noqa: F401 - imported for its effect
