"""Receipts of what was erased, in the admin; and the dialogs that ask before it."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts import consent_text
from accounts.admin_dialogs import dialog, reload_page
from accounts.models import ErasureReceipt
from accounts.problems import DomainError
from gallery.admin.base import ReadOnlyAdmin


class ConsentForm(BaseDialogForm):
    """Carries the version of the text that the dialog shows: agreed to is what was read."""

    # not required: who may not switch is refused, and not asked to fill in what is missing
    consent_version = forms.CharField(initial=consent_text.VERSION, required=False, widget=forms.HiddenInput)


class NameForm(BaseDialogForm):
    """The name of what is to be erased, typed once more."""

    name = forms.CharField(
        label=_("Name of the library"), max_length=200, required=False, widget=UnfoldAdminTextInputWidget
    )


FORGET_PERSON = dialog(
    title=_("Forget this person?"),
    description=_(
        "The name goes at once; faces, face pictures and vectors go for good within moments. On the photos that are "
        "there no face is kept again in the same places. The photos stay. This cannot be undone."
    ),
    submit=_("Forget"),
    is_destructive=True,
)
FORGET_FACES = dialog(
    title=_("Forget all faces?"),
    description=_(
        "Faces, face pictures, vectors, people and their names go for good, and face analysis is switched off: it "
        "would find them all again. The photos stay. This cannot be undone."
    ),
    submit=_("Forget all faces"),
    is_destructive=True,
)
FORGET_LIBRARY = dialog(
    title=_("Erase this library?"),
    description=_(
        "Nobody is let in any more. Photos with their originals, people, runs and members go for good. This cannot be "
        "undone. To show that it is this one, type its name."
    ),
    submit=_("Erase the library"),
    is_destructive=True,
    form_class=NameForm,
)


def erase(request: HttpRequest, change: Callable[[], ErasureReceipt], *, then: str) -> HttpResponse:
    """Have something erased and go on to the page `then`, or say why it cannot be."""
    try:
        receipt = change()
    except DomainError as error:
        messages.error(request, error.detail)
        return reload_page()
    messages.success(request, _("It is being erased. The receipt is %(id)s.") % {"id": receipt.pk})
    return HttpResponse(headers={"HX-Redirect": reverse(then)})


@admin.register(ErasureReceipt)
class ErasureReceiptAdmin(ReadOnlyAdmin):
    """What was erased, by whom and when, with counts; it names nobody."""

    list_display = ("begun_at", "what", "subject_id", "how_much", "ended_at")
    list_filter = ("kind",)
    fields = ("kind", "subject_id", "library_id", "asked_for_by", "begun_at", "ended_at", "how_much")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ErasureReceipt]:
        """Receipts that the user may see."""
        return ErasureReceipt.objects.visible_to(request.user)

    @display(description=_("what"), label=True)
    def what(self, receipt: ErasureReceipt) -> Any:
        """What was erased as a whole."""
        return receipt.get_kind_display()

    @display(description=_("asked for by"))
    def asked_for_by(self, receipt: ErasureReceipt) -> str:
        """The account's id; nobody's where a command on the server did it."""
        return str(receipt.requested_by or _("command line"))

    @display(description=_("how much"))
    def how_much(self, receipt: ErasureReceipt) -> str:
        """The counts, in one line."""
        return " · ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in sorted(receipt.counts.items()))
