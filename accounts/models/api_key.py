from typing import Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Case, Q, Value, When
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from accounts.models.library import Library
from accounts.models.user import User
from accounts.roles import Permission

SHA256 = "^[0-9a-f]{64}$"


class KeyState(models.TextChoices):
    """Whether a key opens anything now, and if not, why."""

    USABLE = "usable", _("usable")
    REVOKED = "revoked", _("revoked")
    EXPIRED = "expired", _("expired")
    OWNER_INACTIVE = "owner_inactive", _("owner deactivated")


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    """Reads of API keys."""

    def owned_by(self, user: User | AnonymousUser) -> Self:
        """Keys that `user` made, those that open nothing any more too."""
        return self.filter(owner=user.pk) if user.is_authenticated else self.none()

    def usable(self) -> Self:
        """Keys that open something now, by the database's clock: neither revoked nor expired, of an active owner."""
        return self.with_state().filter(state=KeyState.USABLE)

    def with_state(self) -> Self:
        """Annotate each key with its `state`, a KeyState, by the database's clock."""
        return self.annotate(
            state=Case(
                When(revoked_at__isnull=False, then=Value(KeyState.REVOKED)),
                When(expires_at__lte=Now(), then=Value(KeyState.EXPIRED)),
                When(owner__is_active=False, then=Value(KeyState.OWNER_INACTIVE)),
                default=Value(KeyState.USABLE),
                output_field=models.CharField(),
            )
        )


class ApiKey(models.Model):
    """A program's way in: what its owner may do, narrowed to `scopes` and, if set, to one library.

    The key itself is shown once, when it is made; what is kept finds it (`prefix`) and recognises it (`secret_sha256`,
    in hex). A key has 256 bits of its own, so that a fast hash is enough.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(_("name"), max_length=100, help_text=_("What it is for."))
    prefix = models.CharField(_("prefix"), max_length=12, unique=True, editable=False)
    secret_sha256 = models.CharField(max_length=64, editable=False)
    scopes = ArrayField(models.CharField(max_length=64, choices=Permission.choices))
    library = models.ForeignKey(
        Library,
        verbose_name=_("library"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="api_keys",
        help_text=_("The only one that it opens; none: all those of its owner."),
    )
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    # written at most once a minute
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, editable=False)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        constraints = [
            # a key without a scope opens nothing, and would look as if it opened all
            models.CheckConstraint(condition=Q(scopes__len__gt=0), name="api_key_has_scopes"),
            models.CheckConstraint(condition=~Q(name=""), name="api_key_has_name"),
            # a key kept in plain text would be told by every backup
            models.CheckConstraint(condition=Q(secret_sha256__regex=SHA256), name="api_key_secret_is_hashed"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
