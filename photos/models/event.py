from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.roles import Permission


class EventKind(models.TextChoices):
    """What an event tells of. What each says beside library and photo stands in docs/events.md."""

    PHOTO_ADDED = "photo.added", _("A photo was taken in")
    PHOTO_PROGRESS = "photo.progress", _("A stage of a photo ended or was begun anew")
    PHOTO_READY = "photo.ready", _("The last open stage of a photo ended")
    PHOTO_ATTENTION = "photo.attention", _("A stage of a photo died, and waits for a person")
    PHOTO_CHANGED = "photo.changed", _("What is said of a photo was changed")
    PHOTO_TRASHED = "photo.trashed", _("A photo was moved to the trash")
    PHOTO_RESTORED = "photo.restored", _("A photo was brought back from the trash")
    PHOTO_DELETED = "photo.deleted", _("A photo was deleted for good")
    IMPORT_PROGRESS = "import.progress", _("An import has come further")
    IMPORT_FINISHED = "import.finished", _("An import ended")
    PEOPLE_CHANGED = "people.changed", _("People of a library, or their faces, were changed")
    TAGS_CHANGED = "tags.changed", _("A tag was renamed, merged or deleted, with the photos that have it")
    ALBUMS_CHANGED = "albums.changed", _("An album, or what is in it, was changed")
    LIBRARY_CHANGED = "library.changed", _("A library's settings were changed")

    @property
    def permission(self) -> Permission:
        """What somebody has to hold in the library to be told."""
        subject = self.value.partition(".")[0]
        special = {"people": Permission.VIEW_PEOPLE, "import": Permission.UPLOAD_PHOTOS}
        return special.get(subject, Permission.VIEW_PHOTOS)


class EventQuerySet(models.QuerySet["Event"]):
    """Reads of events."""

    def between(self, after: int, until: int) -> Self:
        """Events that have a place in the order of all of them behind `after`, and not behind `until`; in that order.

        Every one with a smaller place was committed before: what is read once is not joined later by what was missed.
        """
        return self.filter(position__gt=after, position__lte=until).order_by("position")


class Event(models.Model):
    """Something that happened to a photo, an import or a library, told to those who listen.

    Written in the transaction that does it, and kept for EVENTS_KEEP_SECONDS. It holds ids, states and counts, and no
    name, since it outlives what it tells of: a photo that was deleted for good is told of, too. So `photo_id` refers to
    nothing, and neither does `library_id`: a foreign key would have every commit lock the library's row.

    `id` is given out when the row is written, and two transactions at once are committed in any order. So whoever
    listens goes by `position`, which a committed event is given by the one transaction that gives them at a time.
    """

    id = models.BigAutoField(primary_key=True)
    # none: nobody has looked since it was committed
    position = models.BigIntegerField(_("position"), null=True, editable=False)
    library_id = models.UUIDField(_("library"), editable=False)
    photo_id = models.UUIDField(_("photo"), null=True, editable=False)
    # one of EventKind, and not held to it by the database: a new kind is no migration
    kind = models.CharField(_("kind"), max_length=32, editable=False)
    # of a photo that was hidden then, and nothing by which whoever shows it learns to drop it
    is_hidden = models.BooleanField(_("of a hidden photo"), db_default=False, editable=False)
    payload = models.JSONField(_("payload"), default=dict, editable=False)
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)

    objects = EventQuerySet.as_manager()

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        constraints = [
            # where a listener goes on is one place
            models.UniqueConstraint(fields=["position"], name="event_position_unique"),
            # whoever listens for one photo finds all that is told of it
            models.CheckConstraint(
                condition=Q(kind__startswith="photo.", photo_id__isnull=False)
                | (~Q(kind__startswith="photo.") & Q(photo_id__isnull=True)),
                name="event_of_photo_names_it",
            ),
        ]
        indexes = [
            # those that are to be given a position
            models.Index(fields=["id"], name="event_without_position", condition=Q(position__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.position or '-'}"
