from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models.library import Library


class LibraryUsage(models.Model):
    """Bytes of the originals of a library, those in the trash too. The database counts them with every photo."""

    library = models.OneToOneField(Library, primary_key=True, on_delete=models.CASCADE, related_name="usage")
    used_bytes = models.BigIntegerField(_("bytes used"), default=0)

    class Meta:
        verbose_name = _("storage used by a library")
        verbose_name_plural = _("storage used by libraries")
        constraints = [
            # less than nothing would let more in than the quota allows
            models.CheckConstraint(condition=Q(used_bytes__gte=0), name="library_usage_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.used_bytes:,} bytes in {self.library_id}"


class UserUsage(models.Model):
    """Bytes of the originals that a user uploaded, in all libraries, those in the trash too."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.CASCADE, related_name="usage"
    )
    used_bytes = models.BigIntegerField(_("bytes used"), default=0)

    class Meta:
        verbose_name = _("storage used by a user")
        verbose_name_plural = _("storage used by users")
        constraints = [
            # as for libraries
            models.CheckConstraint(condition=Q(used_bytes__gte=0), name="user_usage_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.used_bytes:,} bytes of {self.user_id}"
