from typing import Self

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from accounts.models import Library, User
from accounts.roles import Permission
from photos.models.photo import Photo


class TagQuerySet(models.QuerySet["Tag"]):
    """Reads of tags; every one that serves a user starts with `visible_to`."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Tags of the libraries whose photos `user` may see."""
        return self.filter(is_removed=False, library__in=Library.objects.permitting(user, Permission.VIEW_PHOTOS))

    def with_photo_count(self, user: User | AnonymousUser) -> Self:
        """Annotate each tag with the number of its photos that `user` may see: `photo_count`."""
        visible = Photo.objects.visible_to(user).filter(pk=OuterRef("photo"))
        worn = PhotoTag.objects.worn().filter(models.Exists(visible), tag=OuterRef("pk")).order_by()
        counts = worn.values("tag").annotate(photos=Count("pk")).values("photos")
        return self.annotate(photo_count=Coalesce(Subquery(counts), 0))


class Tag(models.Model):
    """A word that photos of a library are sorted by. `key` is the name folded: case and accents make no other tag.

    `is_removed`: somebody deleted it; the row stays, so that reading files again does not bring it back.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    library = models.ForeignKey(Library, on_delete=models.CASCADE, related_name="tags")
    name = models.CharField(_("name"), max_length=255)
    key = models.CharField(max_length=255, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    photos = models.ManyToManyField(Photo, through="PhotoTag", related_name="tags")
    is_removed = models.BooleanField(default=False, editable=False)

    objects = TagQuerySet.as_manager()

    class Meta:
        verbose_name = _("tag")
        verbose_name_plural = _("tags")
        constraints = [
            models.UniqueConstraint(fields=["library", "key"], name="tag_library_key_unique"),
            models.CheckConstraint(condition=~Q(name="") & ~Q(key=""), name="tag_name_not_empty"),
        ]

    def __str__(self) -> str:
        return self.name


class TagAlias(models.Model):
    """What a tag was called before it was renamed or merged: a file that says it means the tag that there is now."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    library = models.ForeignKey(Library, on_delete=models.CASCADE, related_name="tag_aliases")
    key = models.CharField(max_length=255)
    tag = models.ForeignKey(Tag, on_delete=models.CASCADE, related_name="aliases")

    class Meta:
        verbose_name = _("alias of a tag")
        verbose_name_plural = _("aliases of tags")
        constraints = [
            models.UniqueConstraint(fields=["library", "key"], name="tag_alias_library_key_unique"),
        ]

    def __str__(self) -> str:
        return self.key


class PhotoTagQuerySet(models.QuerySet["PhotoTag"]):
    """Reads of tags on photos."""

    def worn(self) -> Self:
        """Those that nobody took off."""
        return self.filter(is_taken_off=False)


class PhotoTag(models.Model):
    """A tag on a photo. `from_file`: the file's keywords have it. `is_taken_off`: somebody said that it is wrong.

    What was taken off stays as a row as long as the file says it: reading the file again does not bring it back.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # found by the constraint's index
    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="photo_tags", db_index=False)
    tag = models.ForeignKey(Tag, on_delete=models.CASCADE, related_name="photo_tags")
    from_file = models.BooleanField(_("from the file"), default=False)
    by_person = models.BooleanField(_("put on by somebody"), default=False)
    is_taken_off = models.BooleanField(_("taken off"), default=False)

    objects = PhotoTagQuerySet.as_manager()

    class Meta:
        verbose_name = _("tag of a photo")
        verbose_name_plural = _("tags of photos")
        constraints = [
            # with what tells whether it is worn: a photo's tags are read from the index
            models.UniqueConstraint(fields=["photo", "tag"], include=["is_taken_off"], name="photo_tag_once"),
            # a row says something: who put it on, or that it was taken off
            models.CheckConstraint(
                condition=Q(from_file=True) | Q(by_person=True, is_taken_off=False), name="photo_tag_has_source"
            ),
        ]
        indexes = [
            # a tag's photos, and how many they are. The photo is no key of it: whether a photo wears one of many tags
            # would else be looked up tag by tag, and in the constraint's index all of a photo's are beside each other
            models.Index(fields=["tag"], include=["photo"], name="photo_tag_photos", condition=Q(is_taken_off=False)),
        ]

    def __str__(self) -> str:
        return f"{self.tag_id} on {self.photo_id}"
