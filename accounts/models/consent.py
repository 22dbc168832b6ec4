from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import OuterRef, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from accounts.models.library import Library

HISTORY_LENGTH = 20


class ConsentRecordQuerySet(models.QuerySet["ConsentRecord"]):
    """Reads of consent records."""

    def history(self) -> Self:
        """The last turns of each library's switch, newest first, HISTORY_LENGTH of them at most."""
        alike = ConsentRecord.objects.filter(library=OuterRef("library")).order_by("-id")
        return self.filter(pk__in=alike.values("pk")[:HISTORY_LENGTH]).order_by("-id")


class ConsentRecord(models.Model):
    """One turn of the switch of a library's face analysis: who, when, and to which version of the text they agreed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    library = models.ForeignKey(Library, on_delete=models.CASCADE, related_name="consent_records")
    enabled = models.BooleanField(_("switched on"))
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("by"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="consent_records",
    )
    at = models.DateTimeField(_("time"), db_default=Now(), editable=False)
    text_version = models.CharField(_("version of the text"), max_length=32, blank=True)

    objects = ConsentRecordQuerySet.as_manager()

    class Meta:
        verbose_name = _("consent record")
        verbose_name_plural = _("consent records")
        indexes = [models.Index(fields=["library", "-id"], name="consent_record_library")]
        constraints = [
            # consent to an unknown text is none; a withdrawal agrees to nothing
            models.CheckConstraint(
                condition=Q(enabled=True, text_version__gt="") | Q(enabled=False, text_version=""),
                name="consent_record_on_names_text",
            ),
        ]

    def __str__(self) -> str:
        return f"face analysis {'on' if self.enabled else 'off'} in {self.library_id}"
