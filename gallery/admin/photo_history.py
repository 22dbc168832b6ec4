"""What the page of a photo says of what people did with it: its history, albums, tags and near-duplicates."""

from typing import Any

from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from accounts.models import User
from accounts.roles import Permission
from gallery.admin.edit_words import revision_rows
from gallery.admin.visibility import may
from gallery.models import Album
from photos.models import DuplicateGroup, Photo, Revision, Tag

REVISIONS_ON_PAGE = 20
ALBUMS_ON_PAGE = 20


def photo_history(photo: Photo, *, user: User) -> dict[str, Any]:
    """Read the history of a photo, the latest first, and where it is put, as far as the user may see that."""
    revisions = Revision.objects.filter(photo=photo).select_related("edit", "edit__by", "edit__undone_by")
    listed = list(revisions.order_by("-pk")[: REVISIONS_ON_PAGE + 1])
    may_open = user.has_perm("photos.view_edit") and may(user, Permission.EDIT_PHOTOS, library_id=photo.library_id)
    albums = Album.objects.visible_to(user).filter(album_photos__photo=photo).order_by("-pk")
    group = DuplicateGroup.objects.visible_to(user).filter(members__photo=photo).first()
    return {
        "history": [(one.edit, revision_rows(one)) for one in listed[:REVISIONS_ON_PAGE]],
        "has_more_history": len(listed) > REVISIONS_ON_PAGE,
        "may_open_edits": may_open,
        "history_url": f"{reverse('admin:photos_edit_changelist')}?photo={photo.pk}" if may_open else "",
        "albums": list(albums[:ALBUMS_ON_PAGE]),
        "may_open_albums": user.has_perm("gallery.view_album"),
        "duplicates_url": _group_url(group) if group and user.has_perm("photos.view_duplicategroup") else "",
    }


def tag_links(photo: Photo, *, user: User) -> SafeString | str:
    """Give the tags of a photo, each with the way to its page for those who may open it."""
    worn = Tag.objects.filter(photo_tags__photo=photo, photo_tags__is_taken_off=False).order_by("key")
    if not user.has_perm("photos.view_tag"):
        return ", ".join(worn.values_list("name", flat=True))
    links = ((reverse("admin:photos_tag_change", args=[tag.pk]), tag.name) for tag in worn)
    return format_html_join(", ", '<a class="dr-link" href="{}">{}</a>', links)


def _group_url(group: DuplicateGroup) -> str:
    return reverse("admin:photos_duplicategroup_change", args=[group.pk])
