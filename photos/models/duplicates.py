from typing import Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Count, OuterRef, Subquery
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from accounts.models import Library, User
from photos.models.photo import Photo


class DuplicateGroupQuerySet(models.QuerySet["DuplicateGroup"]):
    """Reads of groups of near-duplicates."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Groups of which `user` may see two photos or more; what lies in the trash is not among them."""
        seen = Photo.objects.visible_to(user).order_by()
        members = DuplicateMember.objects.filter(group=OuterRef("pk"), photo__in=seen).order_by()
        counts = members.values("group").annotate(count=Count("pk")).values("count")
        return (
            self.filter(library__in=Library.objects.visible_to(user)).alias(seen=Subquery(counts)).filter(seen__gte=2)
        )


class DuplicateGroup(models.Model):
    """Photos of a library each of which is nearly the same as every other one."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    library = models.ForeignKey(Library, on_delete=models.CASCADE, related_name="duplicate_groups")
    made_at = models.DateTimeField(_("made"), default=timezone.now, editable=False)

    objects = DuplicateGroupQuerySet.as_manager()

    class Meta:
        verbose_name = _("group of duplicates")
        verbose_name_plural = _("groups of duplicates")
        # a page of a library, newest first
        indexes = [models.Index(fields=["library", "-id"], name="duplicate_group_newest")]

    def __str__(self) -> str:
        return f"duplicates {self.id}"


class DuplicateMember(models.Model):
    """A photo in a group of near-duplicates. It is in one at most."""

    photo = models.OneToOneField(Photo, primary_key=True, on_delete=models.CASCADE, related_name="duplicate_membership")
    group = models.ForeignKey(DuplicateGroup, on_delete=models.CASCADE, related_name="members")

    class Meta:
        verbose_name = _("near-duplicate")
        verbose_name_plural = _("near-duplicates")

    def __str__(self) -> str:
        return f"{self.photo_id} in {self.group_id}"


class DuplicateDecisionQuerySet(models.QuerySet["DuplicateDecision"]):
    """Reads of decisions."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Decisions of libraries whose photos `user` may see."""
        return self.filter(library__in=Library.objects.visible_to(user))


class DuplicateDecision(models.Model):
    """Somebody's word that photos are no duplicates of each other; obeyed until it is taken back."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    library = models.ForeignKey(Library, on_delete=models.CASCADE, related_name="duplicate_decisions")
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="duplicate_decisions",
        verbose_name=_("decided by"),
    )
    decided_at = models.DateTimeField(_("decided"), default=timezone.now, editable=False)

    objects = DuplicateDecisionQuerySet.as_manager()

    class Meta:
        verbose_name = _("decision on duplicates")
        verbose_name_plural = _("decisions on duplicates")
        indexes = [models.Index(fields=["library", "-id"], name="duplicate_decision_newest")]

    def __str__(self) -> str:
        return f"no duplicates {self.id}"


class DecidedPhoto(models.Model):
    """A photo that a decision names."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    decision = models.ForeignKey(DuplicateDecision, on_delete=models.CASCADE, related_name="photos")
    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="duplicate_decisions")

    class Meta:
        verbose_name = _("photo of a decision")
        verbose_name_plural = _("photos of decisions")
        constraints = [
            models.UniqueConstraint(fields=["decision", "photo"], name="decided_photo_decision_photo_unique")
        ]

    def __str__(self) -> str:
        return f"{self.photo_id} in {self.decision_id}"
