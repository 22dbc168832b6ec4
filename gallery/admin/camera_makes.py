"""The makes of cameras that a filter offers."""

from django.contrib.admin import ModelAdmin
from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter

from accounts.models import Library, User
from gallery.admin.filters import CHOICES_LIMIT, Choices

# of members: to read the makes of all that they see would take seconds at a million
NEWEST_PHOTOS = 50_000


class CameraMakeFilter(DropdownFilter):
    """Photos by the maker of the camera."""

    title = _("camera make")
    parameter_name = "camera_make"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        """Offer the makes that there are on photos which the user may see."""
        return [(make, make) for make in visible_camera_makes(request.user)]

    def has_output(self) -> bool:
        """Show the filter also before the first camera is known."""
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """Keep the photos of the chosen make."""
        return queryset.filter(camera_make=self.value()) if self.value() else queryset


def visible_camera_makes(user: User) -> list[str]:
    """List up to `CHOICES_LIMIT` camera makes: those of all photos, or of what a member sees outside of the trash.

    Of a member's photos the newest `NEWEST_PHOTOS` are read, as many of each library: the index of a library's newest
    leads to them, whatever else there is.
    """
    if user.runs_installation:
        return camera_makes()
    libraries = list(Library.objects.visible_to(user).values_list("pk", flat=True))
    query = """
        SELECT DISTINCT camera_make
        FROM unnest(%s::uuid[]) library(id)
        CROSS JOIN LATERAL (
            SELECT camera_make FROM photos_photo WHERE library_id = library.id AND trashed_at IS NULL
            ORDER BY id DESC LIMIT %s
        ) photo
        WHERE camera_make > '' ORDER BY camera_make LIMIT %s
    """
    return _names(query, libraries, NEWEST_PHOTOS // max(len(libraries), 1), CHOICES_LIMIT)


def camera_makes() -> list[str]:
    """List up to `CHOICES_LIMIT` camera makes, by a loose scan of the camera index: one probe for each make.

    PostgreSQL has no such scan for DISTINCT, which would read every row; the recursive form is the one that its wiki
    gives ("Loose indexscan").
    """
    query = """
        WITH RECURSIVE make(name) AS (
            (SELECT camera_make FROM photos_photo WHERE trashed_at IS NULL AND camera_make > ''
             ORDER BY camera_make LIMIT 1)
            UNION ALL
            SELECT (SELECT camera_make FROM photos_photo WHERE trashed_at IS NULL AND camera_make > name
                    ORDER BY camera_make LIMIT 1)
            FROM make WHERE name IS NOT NULL
        )
        SELECT name FROM make WHERE name IS NOT NULL LIMIT %s
    """
    return _names(query, CHOICES_LIMIT)


def _names(query: str, *parameters: object) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return [row[0] for row in cursor.fetchall()]
