from typing import Self

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7


class TokenFamilyQuerySet(models.QuerySet["TokenFamily"]):
    """Reads of token families."""

    def unrevoked(self) -> Self:
        """Families that nobody has ended."""
        return self.filter(revoked_at__isnull=True)


class TokenFamily(models.Model):
    """The tokens that descend from one login: each names its family, and they end together.

    Of its refresh tokens the newest alone is unused. One that was used and is used again is in two hands, and nobody
    can tell which of them stole it: that ends the family.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="token_families")
    created_at = models.DateTimeField(_("logged in"), db_default=Now(), editable=False)
    # when the newest refresh token runs out
    expires_at = models.DateTimeField(_("expires"), db_index=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, editable=False)

    objects = TokenFamilyQuerySet.as_manager()

    class Meta:
        verbose_name = _("token family")
        verbose_name_plural = _("token families")

    def __str__(self) -> str:
        return str(self.pk)
