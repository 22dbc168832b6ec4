"""The page that says why somebody can or cannot see a photo."""

from uuid import UUID

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.problems import NotFoundError
from gallery.admin.base import page
from gallery.explain_access import account_named, explain_access
from photos.models import Photo


class WhoForm(forms.Form):
    """Who is meant."""

    user = forms.CharField(
        label=gettext_lazy("User"),
        help_text=gettext_lazy("An e-mail address, or the id of an account."),
        widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True, "autocomplete": "off"}),
    )


def photo_access_page(request: HttpRequest, photo_id: UUID) -> HttpResponse:
    """Ask for a user, and say step by step why the photo is visible to them or is not. For superusers."""
    if not request.user.is_superuser:
        raise PermissionDenied("Only a superuser asks what others see.")
    photo = Photo.objects.filter(pk=photo_id).first()
    if photo is None:
        raise Http404(f"There is no photo {photo_id}.")
    form = WhoForm(request.GET if "user" in request.GET else None)
    explained = None
    if form.is_valid():
        try:
            explained = explain_access(user=account_named(form.cleaned_data["user"]), photo_id=photo_id)
        except NotFoundError as error:
            form.add_error("user", error.detail)
    title = _("Who sees this photo")
    return page(request, "admin/photos/photo/why.html", title=title, photo=photo, form=form, explained=explained)
