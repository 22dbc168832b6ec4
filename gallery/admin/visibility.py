"""What a user of the admin sees; all of it starts from the one visibility rule."""

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

from accounts.models import Library, User
from accounts.roles import Permission
from photos.models import Photo
from processing.models import LibraryRun, StageRun


def visible_photos(user: User | AnonymousUser) -> QuerySet[Photo]:
    """Photos that the user may see, and those in the trash of libraries where they may bring them back."""
    return Photo.objects.visible_to(user) | Photo.objects.in_trash_of(user)


def visible_runs(user: User | AnonymousUser, permission: str = Permission.VIEW_PROCESSING) -> QuerySet[StageRun]:
    """Stage runs of libraries where the user may see processing, or holds another permission."""
    if user.is_active and user.is_superuser:
        return StageRun.objects.all()  # the same rows as below, without a join over the whole ledger
    return StageRun.objects.filter(photo__library__in=Library.objects.permitting(user, permission))


def visible_library_runs(
    user: User | AnonymousUser, permission: str = Permission.VIEW_PROCESSING
) -> QuerySet[LibraryRun]:
    """Library runs of libraries where the user may see processing, or holds another permission."""
    return LibraryRun.objects.filter(library__in=Library.objects.permitting(user, permission))
