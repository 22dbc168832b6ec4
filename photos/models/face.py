from typing import Self
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from accounts.models import User
from photos.models.person import Person, libraries_showing_people
from photos.models.photo import Photo


def is_kept(face: str = "") -> Q:
    """Tell kept faces from candidates: confident and good enough, or decided on by a person.

    The floors are settings that are read here, so that moving them needs no detection. `face` is the way to the face
    in a query of something else, as `face__`.
    """
    floors = {f"{face}confidence__gte": settings.FACE_MIN_CONFIDENCE, f"{face}quality__gte": settings.FACE_MIN_QUALITY}
    return Q(**floors) | Q(**{f"{face}person_decided": True})


class FaceQuerySet(models.QuerySet["Face"]):
    """Reads of faces; every one that serves a user starts with `visible_to`."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Faces on photos that `user` may see, of the libraries in which `user` may also see people.

        Where face analysis is off there are none to see, from that moment on: they are about to be erased.
        """
        return self.filter(photo__in=Photo.objects.visible_to(user).filter(library__in=libraries_showing_people(user)))

    def in_trash_of(self, user: User | AnonymousUser) -> Self:
        """Faces on photos in the trash that `user` may bring back, of the libraries in which `user` may see people."""
        photos = Photo.objects.in_trash_of(user).filter(library__in=libraries_showing_people(user))
        return self.filter(photo__in=photos)

    def kept(self) -> Self:
        """Faces that are shown and grouped."""
        return self.filter(is_kept())

    def candidates(self) -> Self:
        """Faces that are stored and not shown: they cost no detection when a floor is moved."""
        return self.filter(~is_kept())


class Face(models.Model):
    """A detected face. Box and landmarks are fractions (0 to 1) of the upright image's width and height.

    `landmarks` are five [x, y] pairs: left eye, right eye, nose, left and right corner of the mouth, as seen in the
    image. `chip_box` and `chip_landmarks` are the same in pixels of the face chip.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # the indexes of both keys are below
    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="faces", db_index=False)
    version = models.CharField(_("version of the stage that found it"), max_length=96)
    left = models.FloatField()
    top = models.FloatField()
    right = models.FloatField()
    bottom = models.FloatField()
    landmarks = models.JSONField(default=list)
    confidence = models.FloatField(_("confidence"))
    quality = models.FloatField(_("quality"))
    chip_key = models.CharField(max_length=255)
    # nothing: it was stored before hashes of chips were kept
    chip_sha256 = models.CharField(max_length=64, blank=True)
    chip_width = models.PositiveIntegerField()
    chip_height = models.PositiveIntegerField()
    chip_box = models.JSONField()
    chip_landmarks = models.JSONField()
    person = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.SET_NULL, related_name="faces", db_index=False
    )
    person_decided = models.BooleanField(_("person decided by somebody"), default=False)
    created_at = models.DateTimeField(_("found"), default=timezone.now, editable=False)

    objects = FaceQuerySet.as_manager()

    class Meta:
        verbose_name = _("face")
        verbose_name_plural = _("faces")
        constraints = [
            models.CheckConstraint(condition=Q(left__lt=F("right"), top__lt=F("bottom")), name="face_box_not_empty"),
            models.CheckConstraint(
                condition=Q(confidence__range=(0, 1), quality__range=(0, 1)), name="face_scores_are_fractions"
            ),
            # a second face in the same place would be a doubled effect; the chip's key is a function of the box
            models.UniqueConstraint(fields=["photo", "chip_key"], name="face_photo_chip_unique"),
        ]
        indexes = [
            # who is on a photo, and on which photos somebody is: with all that `kept` asks, so that no row is read
            models.Index(
                fields=["photo"],
                include=["person", "confidence", "quality", "person_decided"],
                name="face_photo_people",
            ),
            models.Index(
                fields=["person", "photo"],
                include=["confidence", "quality", "person_decided"],
                name="face_person_photos",
            ),
        ]

    def __str__(self) -> str:
        return f"face {self.id}"

    @property
    def library_id(self) -> UUID:
        """The library of its photo."""
        return self.photo.library_id
