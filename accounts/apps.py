from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """WHO: users, libraries, memberships and roles."""

    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"
