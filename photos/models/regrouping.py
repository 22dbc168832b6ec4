from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from accounts.models import Library
from photos.models.face import Face


class LibraryThreshold(models.Model):
    """Within which distance of a model the faces of a library are grouped, where that is not the installation's."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    library = models.ForeignKey(Library, on_delete=models.CASCADE, related_name="face_thresholds")
    # models measure in different units
    model = models.CharField(_("model"), max_length=64)
    threshold = models.FloatField(_("threshold"))
    changed_at = models.DateTimeField(_("changed"), db_default=Now())
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="changed_face_thresholds"
    )

    class Meta:
        verbose_name = _("threshold of a library")
        verbose_name_plural = _("thresholds of libraries")
        constraints = [
            models.UniqueConstraint(fields=["library", "model"], name="library_threshold_library_model_unique"),
            models.CheckConstraint(condition=Q(threshold__gt=0), name="library_threshold_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.threshold:g} of {self.model} in {self.library_id}"


class Regrouping(models.Model):
    """What grouping a library by another threshold or model would change; one at a time, the one asked for last.

    `basis` is a hash of all that the answer rests on: faces, vectors, whose they are, and what was decided. `report`
    has the diff in numbers, with the first of each; the moves are rows of their own.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    library = models.OneToOneField(Library, on_delete=models.CASCADE, related_name="regrouping")
    model = models.CharField(_("model"), max_length=64)
    threshold = models.FloatField(_("threshold"))
    asked_at = models.DateTimeField(_("asked for"), db_default=Now())
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="regroupings"
    )
    computed_at = models.DateTimeField(_("computed"), null=True)
    basis = models.CharField(max_length=64, blank=True)
    report = models.JSONField(_("report"), default=dict)
    applied_at = models.DateTimeField(_("applied"), null=True)

    class Meta:
        verbose_name = _("regrouping")
        verbose_name_plural = _("regroupings")
        constraints = [
            models.CheckConstraint(condition=Q(threshold__gt=0), name="regrouping_threshold_positive"),
            # nothing is applied that nobody could look at
            models.CheckConstraint(
                condition=Q(applied_at__isnull=True) | Q(computed_at__isnull=False),
                name="regrouping_applied_is_computed",
            ),
        ]
        indexes = [
            models.Index(fields=["asked_at"], name="regrouping_to_compute", condition=Q(computed_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"regrouping of {self.library_id} by {self.model} within {self.threshold:g}"


class RegroupingMove(models.Model):
    """A face that a regrouping would move: to a person, to a new one who has no row yet, or to nobody."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    regrouping = models.ForeignKey(Regrouping, on_delete=models.CASCADE, related_name="moves")
    face = models.ForeignKey(Face, on_delete=models.CASCADE, related_name="+")
    # keys of people who may not be there yet, or any more
    person_before = models.UUIDField(null=True)
    person_after = models.UUIDField(null=True)
    is_new_person = models.BooleanField(default=False)

    class Meta:
        verbose_name = _("move of a regrouping")
        verbose_name_plural = _("moves of regroupings")

    def __str__(self) -> str:
        return f"{self.face_id}: {self.person_before} to {self.person_after}"
