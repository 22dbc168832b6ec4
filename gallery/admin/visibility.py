"""What a user of the admin sees; all of it starts from the one visibility rule."""

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

from accounts.models import Library, User
from accounts.roles import Permission
from photos.models import Photo
from processing.models import LibraryRun, StageRun


def visible_photos(user: User | AnonymousUser) -> QuerySet[Photo]:
    """Photos that the user may see, and those in the trash of libraries where they may bring them back."""
    libraries = Library.objects.permitting(user, Permission.TRASH_PHOTOS)
    trashed = Photo.objects.filter(trashed_at__isnull=False, library__in=libraries)
    return Photo.objects.visible_to(user) | trashed


def visible_runs(user: User | AnonymousUser) -> QuerySet[StageRun]:
    """Stage runs of libraries where the user may see processing."""
    if user.is_active and user.is_superuser:
        return StageRun.objects.all()  # the same rows as below, without a join over the whole ledger
    return StageRun.objects.filter(photo__library__in=Library.objects.permitting(user, Permission.VIEW_PROCESSING))


def visible_library_runs(user: User | AnonymousUser) -> QuerySet[LibraryRun]:
    """Library runs of libraries where the user may see processing."""
    return LibraryRun.objects.filter(library__in=Library.objects.permitting(user, Permission.VIEW_PROCESSING))
