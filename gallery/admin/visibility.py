"""What a user of the admin sees; all of it starts from the one visibility rule."""

from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

from accounts.models import Library, User
from accounts.roles import Permission
from photos.models import Face, Photo
from photos.models.face import FaceQuerySet
from processing.models import LibraryRun, StageRun


def visible_photos(user: User | AnonymousUser, permission: str | None = None) -> QuerySet[Photo]:
    """Photos that the user may see, and those in the trash of libraries where they may bring them back.

    With a permission, those of them in libraries where the user's role gives it.
    """
    photos = Photo.objects.visible_to(user) | Photo.objects.in_trash_of(user)
    if permission is None or (user.is_active and user.is_superuser):
        return photos
    return photos.filter(library__in=Library.objects.permitting(user, permission))


def countable_faces(user: User | AnonymousUser) -> FaceQuerySet:
    """Kept faces of the libraries in which the user may see people; they are counted in the trash too."""
    libraries = Library.objects.permitting(user, Permission.VIEW_PEOPLE).filter(face_analysis=True)
    return Face.objects.kept().filter(photo__library__in=libraries)


def visible_runs(user: User | AnonymousUser, permission: str = Permission.VIEW_PROCESSING) -> QuerySet[StageRun]:
    """Stage runs of photos that the user may see, where they may see processing, or hold another permission."""
    if user.is_active and user.is_superuser:
        return StageRun.objects.all()  # the same rows as below, without a join over the whole ledger
    return StageRun.objects.filter(photo__in=visible_photos(user, permission))


def visible_library_runs(
    user: User | AnonymousUser, permission: str = Permission.VIEW_PROCESSING
) -> QuerySet[LibraryRun]:
    """Library runs of libraries that the user may see, where they may see processing, or hold another permission.

    None without the permission to open their list: what counts them may not tell more than it. Whoever runs the
    installation also sees those of libraries that are being erased, into which nobody is let: an erasure may die.
    """
    if not user.has_perm("processing.view_libraryrun"):
        return LibraryRun.objects.none()
    if user.runs_installation:
        return LibraryRun.objects.all()
    libraries = Library.objects.permitting(user, permission)
    return LibraryRun.objects.filter(library__in=libraries & Library.objects.visible_to(user))


def may(user: User | AnonymousUser, *permissions: str, library_id: UUID) -> bool:
    """Tell whether the user's role in a library gives these permissions, all of them."""
    return all(Library.objects.permitting(user, one).filter(pk=library_id).exists() for one in permissions)
