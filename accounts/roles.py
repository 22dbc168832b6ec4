"""The named permissions of a library, and the built-in roles made of them."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Permission(models.TextChoices):
    """What a member may do in one library. A role is a set of these."""

    VIEW_PHOTOS = "photos.view", _("see photos, their metadata and renditions")
    DOWNLOAD_ORIGINALS = "originals.download", _("download originals")
    UPLOAD_PHOTOS = "photos.upload", _("upload photos")
    EDIT_PHOTOS = "photos.edit", _("change what is said about photos")
    TRASH_PHOTOS = "photos.trash", _("move photos to the trash and back")
    PURGE_PHOTOS = "photos.purge", _("delete photos for good")
    MODERATE_PHOTOS = "photos.moderate", _("hide photos from visitors")
    SHARE_PHOTOS = "photos.share", _("share photos by a link")
    VIEW_PEOPLE = "people.view", _("see people and faces")
    EDIT_PEOPLE = "people.edit", _("name people and correct their faces")
    VIEW_PROCESSING = "processing.view", _("see stage runs and their errors")
    RETRY_PROCESSING = "processing.retry", _("retry dead stage runs")
    SWITCH_FACE_ANALYSIS = "face_analysis.switch", _("switch face analysis on and off")
    MANAGE_MEMBERS = "members.manage", _("invite, change and remove members")
    VIEW_AUDIT = "audit.view", _("see who did what in the library")
    EDIT_LIBRARY = "library.edit", _("change the library's name and settings")


class BuiltInRole(models.TextChoices):
    """Roles that every installation has and nobody can alter."""

    ADMIN = "admin", _("Admin")
    EDITOR = "editor", _("Editor")
    VISITOR = "visitor", _("Visitor")


BUILT_IN_ROLES: dict[str, tuple[Permission, ...]] = {
    BuiltInRole.ADMIN: tuple(Permission),
    BuiltInRole.EDITOR: (
        Permission.VIEW_PHOTOS,
        Permission.DOWNLOAD_ORIGINALS,
        Permission.UPLOAD_PHOTOS,
        Permission.EDIT_PHOTOS,
        Permission.TRASH_PHOTOS,
        Permission.MODERATE_PHOTOS,
        Permission.SHARE_PHOTOS,
        Permission.VIEW_PEOPLE,
        Permission.EDIT_PEOPLE,
        Permission.VIEW_PROCESSING,
        Permission.RETRY_PROCESSING,
    ),
    BuiltInRole.VISITOR: (Permission.VIEW_PHOTOS, Permission.VIEW_PEOPLE),
}
