"""Pictures of photos below a row that has to do with them, and the way to all of them."""

from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse

from gallery.admin import files
from photos.models import Photo

PICTURES_ON_PAGE = 60


class PhotoPicturesMixin:
    """For the admin of a model: its page shows photos. `pictured` and `pictured_url` say which.

    An admin has a metaclass of its own, so nothing here can be abstract: whoever forgets `pictured` is told when a page
    asks for it.
    """

    change_form_outer_after_template = "admin/photos/pictures.html"

    def pictured(self, request: HttpRequest, obj: Model) -> QuerySet[Photo]:
        """Give the photos of a row, in their order; those that the user may see."""
        raise NotImplementedError

    def pictured_url(self, obj: Model) -> str:
        """Give the address of the list of all of them; empty where there is none."""
        return ""

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Model | None = None, **kwargs: Any
    ) -> HttpResponse:
        """Show the pictures below the form."""
        if obj is not None:
            photos = self.pictured(request, obj).prefetch_related(files.smallest_renditions())
            shown = list(photos[: PICTURES_ON_PAGE + 1])
            context["pictures"] = [(photo, files.thumbnail(photo)) for photo in shown[:PICTURES_ON_PAGE]]
            context["has_more_pictures"] = len(shown) > PICTURES_ON_PAGE
            context["pictures_url"] = self.pictured_url(obj)
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)
