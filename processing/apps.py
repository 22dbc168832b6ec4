from django.apps import AppConfig


class ProcessingConfig(AppConfig):
    """HOW IT CAME TO BE: stages, the ledger of their runs, Celery tasks, engines, models."""

    name = "processing"
    default_auto_field = "django.db.models.BigAutoField"
