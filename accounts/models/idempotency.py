from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7


class IdempotentRequest(models.Model):
    """A request that was sent with an Idempotency-Key, and its first answer, to be given again for a day.

    While `status` is null it is being worked on, under a lease by the database's clock; a server that was killed lets
    go of it when the lease has run out. An answer without a `body` is one that is told once, or of which something was
    erased since.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="idempotent_requests")
    # the API key that asked, or else the user: a key does not read what its owner was told, nor another key of theirs
    holder = models.UUIDField()
    key = models.CharField(_("Idempotency-Key"), max_length=255)
    # of method, address and body, keyed with the installation's secret: a body may hold a password
    fingerprint = models.CharField(max_length=64)
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(_("status"), null=True)
    headers = models.JSONField(_("headers"), default=dict)
    body = models.TextField(_("body"), null=True)  # noqa: DJ001 - an empty body is an answer too
    # ids that the answer names: it goes when one of them is erased
    subjects = ArrayField(models.UUIDField(), default=list)
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)
    expires_at = models.DateTimeField(_("expires"), db_index=True)

    class Meta:
        verbose_name = _("idempotent request")
        verbose_name_plural = _("idempotent requests")
        indexes = [GinIndex(fields=["subjects"], name="idempotent_request_subjects")]
        constraints = [
            # of two who send a key at once, one does the work
            models.UniqueConstraint(fields=["holder", "key"], name="idempotent_request_one_per_key"),
            # what is worked on has a lease, and what was answered has none
            models.CheckConstraint(
                condition=Q(status__isnull=True, lease_token__isnull=False, lease_until__isnull=False)
                | Q(status__isnull=False, lease_token__isnull=True, lease_until__isnull=True),
                name="idempotent_request_leased_until_answered",
            ),
        ]

    def __str__(self) -> str:
        return self.key
