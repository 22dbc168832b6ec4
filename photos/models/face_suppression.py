from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from photos.models.photo import Photo


class FaceSuppression(models.Model):
    """A place on a photo where no face is kept any more: that of a person who was forgotten.

    Detection would find the face again with its next run. What is found there is dropped before anything of it is
    stored. The box has the units of `Face`; there is no vector, and nothing that says who it was.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="face_suppressions")
    left = models.FloatField()
    top = models.FloatField()
    right = models.FloatField()
    bottom = models.FloatField()
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("face suppression")
        verbose_name_plural = _("face suppressions")
        constraints = [
            models.CheckConstraint(
                condition=Q(left__lt=F("right"), top__lt=F("bottom")), name="face_suppression_box_not_empty"
            ),
        ]

    def __str__(self) -> str:
        return f"a place on {self.photo_id}"
