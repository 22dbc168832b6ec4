from typing import Self

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from accounts.models.library import Library
from accounts.models.user import User
from accounts.roles import Permission


class ErasureKind(models.TextChoices):
    """What is erased as a whole."""

    PERSON = "person", _("A person")
    FACES = "faces", _("All faces and people of a library")
    LIBRARY = "library", _("A library with everything in it")
    USER = "user", _("A user's account")


class ErasureReceiptQuerySet(models.QuerySet["ErasureReceipt"]):
    """Reads of receipts."""

    def open(self) -> Self:
        """Receipts of erasures that have not ended."""
        return self.filter(ended_at__isnull=True)

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Receipts of the libraries whose settings `user` may change, and of what `user` had erased in person.

        All of them for whoever runs the installation: of a library that is gone nobody is a member any more.
        """
        if not user.is_authenticated or not user.is_active:
            return self.none()
        if user.runs_installation:
            return self.all()
        libraries = Library.objects.permitting(user, Permission.EDIT_LIBRARY)
        seen = Q(library_id__in=libraries.values("pk"))
        return self.filter(seen) if user.acting_key else self.filter(seen | Q(requested_by=user.pk))


class ErasureReceipt(models.Model):
    """What was erased, by whom and when, with counts. It outlives its subject, and names nobody but by id.

    `counts` says how many of what went; it grows while the erasure is under way and is final when `ended_at` is set.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(_("what"), max_length=8, choices=ErasureKind.choices)
    # ids, not foreign keys: all of them may be gone
    subject_id = models.UUIDField(_("subject"))
    library_id = models.UUIDField(_("library"), null=True)
    requested_by = models.UUIDField(_("asked for by"), null=True)
    begun_at = models.DateTimeField(_("begun"), db_default=Now(), editable=False)
    ended_at = models.DateTimeField(_("ended"), null=True)
    counts = models.JSONField(_("counts"), default=dict)

    objects = ErasureReceiptQuerySet.as_manager()

    class Meta:
        verbose_name = _("erasure receipt")
        verbose_name_plural = _("erasure receipts")
        indexes = [models.Index(fields=["library_id", "-id"], name="erasure_receipt_library")]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=ErasureKind.values), name="erasure_receipt_kind_known"),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) | Q(ended_at__gte=F("begun_at")),
                name="erasure_receipt_ends_after_begin",
            ),
            # what is asked for twice meanwhile is one erasure
            models.UniqueConstraint(
                fields=["kind", "subject_id"], condition=Q(ended_at__isnull=True), name="erasure_receipt_one_open"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} · {self.subject_id}"
