from collections.abc import Iterable
from typing import Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from accounts.models import Library, User
from photos.models import Photo

MAX_PHOTOS = 20_000


class AlbumKind(models.TextChoices):
    """How an album comes by its photos."""

    MANUAL = "manual", _("manual")
    SMART = "smart", _("smart")


class AlbumQuerySet(models.QuerySet["Album"]):
    """Reads of albums; every one that serves a user starts with `visible_to`."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Albums of the libraries whose photos `user` may see."""
        return self.filter(library__in=Library.objects.visible_to(user))

    def with_cover(self, user: User | AnonymousUser) -> Self:
        """Annotate each album with `shown_cover`: the id of the chosen photo, else of the first that `user` may see.

        A smart album's is the chosen one.
        """
        visible = Photo.objects.visible_to(user)
        chosen = visible.filter(pk=OuterRef("cover")).order_by().values("pk")[:1]
        # row by row: the first photo is found without reading all that the user may see
        own = AlbumPhoto.objects.filter(Exists(visible.filter(pk=OuterRef("photo"))), album=OuterRef("pk"))
        return self.annotate(
            shown_cover=Coalesce(
                Subquery(chosen),
                Subquery(own.order_by("position").values("photo")[:1]),
                output_field=models.UUIDField(),
            ),
        )


class Album(models.Model):
    """Photos of one library under a title: put in by hand and in an order, or all that a stored filter keeps.

    `filter` is as the parameters of the list of photos, in JSON.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    library = models.ForeignKey(Library, on_delete=models.CASCADE, related_name="albums")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="albums", verbose_name=_("made by")
    )
    created_at = models.DateTimeField(_("made"), default=timezone.now, editable=False)
    kind = models.CharField(_("kind"), max_length=6, choices=AlbumKind.choices, editable=False)
    title = models.CharField(_("title"), max_length=200)
    description = models.TextField(_("description"), blank=True, max_length=5000)
    filter = models.JSONField(_("filter"), default=dict, blank=True)
    cover = models.ForeignKey(Photo, null=True, blank=True, on_delete=models.SET_NULL, related_name="covered_albums")
    photos = models.ManyToManyField(Photo, through="AlbumPhoto", related_name="albums")

    objects = AlbumQuerySet.as_manager()

    class Meta:
        verbose_name = _("album")
        verbose_name_plural = _("albums")
        constraints = [
            models.CheckConstraint(condition=~Q(title=""), name="album_title_not_empty"),
            models.CheckConstraint(condition=Q(kind__in=AlbumKind.values), name="album_kind_known"),
            # two answers to which photos are in it would be one too many
            models.CheckConstraint(condition=Q(kind=AlbumKind.SMART) | Q(filter={}), name="album_filter_if_smart"),
        ]
        indexes = [models.Index(F("library"), F("id").desc(), name="album_library_newest")]

    def __str__(self) -> str:
        return self.title


class AlbumPhoto(models.Model):
    """A photo in a manual album; `position` orders them, from 0."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    album = models.ForeignKey(Album, on_delete=models.CASCADE, related_name="album_photos")
    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="album_photos")
    position = models.IntegerField(_("position"))
    added_at = models.DateTimeField(_("added"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("photo of an album")
        verbose_name_plural = _("photos of albums")
        constraints = [
            models.UniqueConstraint(fields=["album", "photo"], name="album_photo_once"),
            # moved in one statement: asked at its end
            models.UniqueConstraint(
                fields=["album", "position"],
                name="album_photo_position_unique",
                deferrable=models.Deferrable.IMMEDIATE,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.photo_id} in {self.album_id}"


def count_photos(albums: Iterable[Album], *, user: User | AnonymousUser) -> None:
    """Give albums their `photo_count`, of photos that `user` may see; a smart one's is None.

    A smart album's photos are known to whoever asks for them. All are counted by one query: for each album by itself
    the planner would read all photos that the user may see.
    """
    listed = list(albums)
    manual = [one.pk for one in listed if one.kind == AlbumKind.MANUAL]
    seen = Photo.objects.visible_to(user).order_by().values("pk")
    rows = AlbumPhoto.objects.filter(album__in=manual, photo__in=seen).order_by()
    counts = dict(rows.values_list("album").annotate(Count("pk"))) if manual else {}
    for album in listed:
        album.photo_count = counts.get(album.pk, 0) if album.kind == AlbumKind.MANUAL else None
