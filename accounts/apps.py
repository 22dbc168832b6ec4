from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed


class AccountsConfig(AppConfig):
    """WHO: users, libraries, memberships and roles."""

    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Have logins told to the audit trail, and register the system checks."""
        from accounts import checks, receivers  # noqa: F401 - checks for its effect

        user_logged_in.connect(receivers.record_login, dispatch_uid="audit.login")
        user_logged_out.connect(receivers.record_logout, dispatch_uid="audit.logout")
        user_login_failed.connect(receivers.record_failure, dispatch_uid="audit.login_failed")
