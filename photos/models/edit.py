from typing import Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Count, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from accounts.models import Library, User
from accounts.roles import Permission
from photos.models.photo import Photo


class EditQuerySet(models.QuerySet["Edit"]):
    """Reads of edits; every one that serves a user starts with `visible_to`."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Edits in the libraries in which `user` may see and edit photos."""
        libraries = Library.objects.visible_to(user) & Library.objects.permitting(user, Permission.EDIT_PHOTOS)
        return self.filter(library__in=libraries)

    def with_counts(self) -> Self:
        """Annotate each edit with `photo_count`, the photos that it changed so far."""
        return self.annotate(photo_count=Count("revisions"))


class Edit(models.Model):
    """What somebody said about photos of a library, in one act. `changes` is what was asked for.

    `selection` holds the photos of an act on many until it has been done on the last of them.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    library = models.ForeignKey(Library, on_delete=models.CASCADE, related_name="edits")
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="edits", verbose_name=_("by")
    )
    created_at = models.DateTimeField(_("made"), default=timezone.now, editable=False)
    changes = models.JSONField(_("changes"), default=dict)
    selection = ArrayField(models.UUIDField(), default=list, blank=True, editable=False)
    # the edit that this one takes back
    undoes = models.OneToOneField(
        "self", null=True, on_delete=models.SET_NULL, related_name="undone_by", verbose_name=_("takes back")
    )

    objects = EditQuerySet.as_manager()

    class Meta:
        verbose_name = _("edit")
        verbose_name_plural = _("edits")
        constraints = [
            models.CheckConstraint(condition=~Q(undoes=models.F("id")), name="edit_undoes_another"),
        ]
        indexes = [models.Index(fields=["library", "-id"], name="edit_library_newest")]

    def __str__(self) -> str:
        return f"edit {self.pk}"


class Revision(models.Model):
    """What an edit changed of one photo. `before` and `after` have the same keys: the fields that it changed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    edit = models.ForeignKey(Edit, on_delete=models.CASCADE, related_name="revisions")
    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="revisions")
    before = models.JSONField()
    after = models.JSONField()

    class Meta:
        verbose_name = _("revision")
        verbose_name_plural = _("revisions")
        constraints = [
            models.UniqueConstraint(fields=["edit", "photo"], name="revision_edit_photo_unique"),
        ]
        indexes = [models.Index(fields=["photo", "-id"], name="revision_photo_newest")]

    def __str__(self) -> str:
        return f"revision of {self.photo_id}"
