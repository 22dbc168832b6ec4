"""Deciding about a person in the admin: merging, splitting, confirming, rejecting, hiding, choosing a cover."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import action
from unfold.forms import BaseDialogForm

from accounts.admin_dialogs import act, dialog
from accounts.problems import DomainError, InvalidValueError
from accounts.roles import Permission
from gallery.admin import files
from gallery.admin.base import page
from gallery.admin.choices import SomeOfLibrary
from gallery.admin.visibility import may
from photos.models import Face, Person, PersonDecision
from photos.services import people

DECISIONS_ON_PAGE = 20
MERGED_AT_ONCE = 20
# so many faces are asked about once more before something is said of them
LARGE = 20


class MergeForm(forms.Form):
    """Who is the same person, and whose page stays."""

    def __init__(self, *args: Any, person: Person, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.person = person
        here = Person.objects.visible_to(request.user).filter(library=person.library_id)
        self.fields["other"] = forms.ModelMultipleChoiceField(
            label=_("This is the same person"),
            queryset=here.exclude(pk=person.pk).with_faces(request.user),
            # the search offers whom the page of a face offers
            widget=SomeOfLibrary(Face._meta.get_field("person"), library_id=person.library_id),
        )
        self.fields["stays"] = forms.ModelChoiceField(queryset=here, required=False)

    def clean(self) -> dict[str, Any]:
        """Refuse crowds, and somebody who stays and is none of them."""
        given = super().clean()
        others = list(given.get("other") or ())
        if len(others) > MERGED_AT_ONCE:
            self.add_error("other", _("Choose %d at most.") % MERGED_AT_ONCE)
        stays = given.get("stays")
        if stays is not None and stays not in (self.person, *others):
            self.add_error("other", _("Who stays has to be one of them."))
        return given

    def everybody(self) -> list[Person]:
        """Give all who are one person, the one of whom there is most to keep first."""
        everybody = [self.person, *self.cleaned_data["other"]]
        return sorted(everybody, key=lambda one: (not one.name, -one.face_count, one.pk))


@dataclass(frozen=True, slots=True)
class FacesAct:
    """What a button does with chosen faces: the act, what it has done, and what it asks if they are many."""

    do: Callable[[Person, list[UUID], Any], PersonDecision | None]
    done: Any
    asks: Any = ""


def _cover(person: Person, chosen: list[UUID], by: Any) -> PersonDecision | None:
    if len(chosen) != 1:
        raise InvalidValueError("Choose one face.", field="faces")
    return people.choose_cover(person=person, face_id=chosen[0], by=by)


UNDONE_BELOW = _("It can be undone below.")
FACES_ACTS: Mapping[str, FacesAct] = {
    "confirm": FacesAct(
        lambda person, chosen, by: people.confirm_faces(person=person, face_ids=chosen, by=by),
        _("The faces are confirmed."),
        _("They are this person, under every grouping, until it is undone."),
    ),
    "reject": FacesAct(
        lambda person, chosen, by: people.reject_faces(person=person, face_ids=chosen, by=by),
        _("The faces are not this person any more."),
        _("They are not this person, under every grouping, until it is undone."),
    ),
    "split": FacesAct(
        lambda person, chosen, by: people.split_person(person=person, face_ids=chosen, by=by),
        _("The faces are somebody else now: this is who."),
        _("They become a new person, apart from this one under every grouping, until it is undone."),
    ),
    "cover": FacesAct(_cover, _("The face stands for this person.")),
    "best_cover": FacesAct(
        lambda person, _chosen, by: people.choose_cover(person=person, face_id=None, by=by),
        _("The best face stands for this person."),
    ),
}


class PersonActsMixin:
    """Acts on a person's page. Each is one decision, and the page lists them, with what undoes them."""

    def get_urls(self) -> list[URLPattern]:
        """Add the acts that a form of the page posts."""
        view = self.admin_site.admin_view
        return [
            path("<str:object_id>/merge/review/", view(self.merge_view), name="photos_person_merge_review"),
            path("<str:object_id>/faces/", view(self.faces_view), name="photos_person_faces"),
            *super().get_urls(),
        ]

    def acts_offered(self, request: HttpRequest, person: Person) -> set[str]:
        """Name the acts of the page's head that the user may do."""
        if not self._may_decide(request, person):
            return set()
        return {"merge", "confirm_all", "show" if person.is_hidden else "hide"}

    def has_decide_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whether the user may decide where their role allows it."""
        return request.user.has_perm("photos.change_person")

    @action(description=_("Merge"), icon="merge", permissions=["decide"])
    def merge(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Go on to the form that makes this person and others one."""
        return redirect("admin:photos_person_merge_review", self._to_decide(request, object_id).pk)

    @action(
        description=_("Confirm all"),
        icon="done_all",
        permissions=["decide"],
        dialog=dialog(
            title=_("Confirm all faces?"),
            description=_(
                "All faces that this person has now, also those that the page does not show, are this person under "
                "every grouping. It can be undone."
            ),
            submit=_("Confirm all"),
        ),
    )
    def confirm_all(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Say of all faces that they are who they were taken for."""
        person = self._to_decide(request, object_id)
        return act(
            request,
            lambda: people.confirm_faces(person=person, by=request.user),
            done=_("All faces are confirmed."),
        )

    @action(
        description=_("Hide"),
        icon="visibility_off",
        permissions=["decide"],
        dialog=dialog(
            title=_("Hide this person?"),
            description=_("They are left out of lists until they are shown again. Their photos stay where they are."),
            submit=_("Hide"),
        ),
    )
    def hide(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Leave a person out of lists."""
        person = self._to_decide(request, object_id)
        return act(
            request,
            lambda: people.hide_person(person=person, is_hidden=True, by=request.user),
            done=_("The person is hidden."),
        )

    @action(
        description=_("Show"),
        icon="visibility",
        permissions=["decide"],
        dialog=dialog(title=_("Show this person again?"), description=_("They are in lists again."), submit=_("Show")),
    )
    def show(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Show a person again."""
        person = self._to_decide(request, object_id)
        return act(
            request,
            lambda: people.hide_person(person=person, is_hidden=False, by=request.user),
            done=_("The person is shown."),
        )

    def merge_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask who is the same person, show them all side by side, and make them one."""
        person = self._to_decide(request, object_id)
        given = request.POST if request.method == "POST" else request.GET
        form = MergeForm(given or None, person=person, request=request)
        everybody = form.everybody() if form.is_valid() else []
        if request.method == "POST" and everybody:
            stays = form.cleaned_data["stays"] or everybody[0]
            merged = [one for one in everybody if one.pk != stays.pk]
            return self._decided(
                request,
                stays,
                lambda: people.merge_people(into=stays, people=merged, by=request.user),
                done=_("They are one person."),
            )
        context = {
            "person": person,
            "form": form,
            "everybody": [
                (one, files.chip_url(one.cover["id"], one.cover["chip_key"]) if one.cover else "") for one in everybody
            ],
            "face_count": sum(one.face_count for one in everybody),
            "opts": self.opts,
            "media": self.media + form.media,
        }
        return page(request, "admin/photos/person/merge.html", title=_("Merge %s") % person, **context)

    def faces_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Do with the chosen faces what a button of the page says; ask once more if they are many."""
        person = self._to_decide(request, object_id)
        chosen = _keys(request, "face")
        wanted = FACES_ACTS.get(request.POST.get("act", ""))
        if wanted is None:
            return _to_page(person.pk)
        if wanted.asks and len(chosen) > LARGE and "sure" not in request.POST:
            question = ngettext("%d face of %s", "%d faces of %s", len(chosen)) % (len(chosen), person)
            context = {
                "person": person,
                "act": request.POST["act"],
                "faces": chosen,
                "question": question,
                "consequence": wanted.asks,
                "opts": self.opts,
            }
            return page(request, "admin/photos/person/many_faces.html", title=_("Are you sure?"), **context)
        return self._decided(request, person, lambda: wanted.do(person, chosen, request.user), done=wanted.done)

    def decisions_shown(self, request: HttpRequest, person: Person) -> dict[str, Any]:
        """Give what the page lists of decisions, newest first."""
        decisions = PersonDecision.objects.visible_to(request.user).about(person).with_face_count()
        listed = decisions.select_related("by", "undone_by", "person").order_by("-pk")[: DECISIONS_ON_PAGE + 1]
        shown = list(listed)
        all_url = f"{reverse('admin:photos_persondecision_changelist')}?about={person.pk}"
        return {
            "decisions": shown[:DECISIONS_ON_PAGE],
            "all_decisions_url": all_url if request.user.has_perm("photos.view_persondecision") else "",
            "has_more_decisions": len(shown) > DECISIONS_ON_PAGE,
            "may_decide": self._may_decide(request, person),
        }

    def _may_decide(self, request: HttpRequest, person: Person) -> bool:
        return self.has_decide_permission(request) and may(
            request.user, Permission.EDIT_PEOPLE, library_id=person.library_id
        )

    def _to_decide(self, request: HttpRequest, object_id: str) -> Person:
        """Give a person about whom the user may decide; Http404, PermissionDenied."""
        person = self.existing(request, object_id)
        if not self._may_decide(request, person):
            raise PermissionDenied(Permission.EDIT_PEOPLE)
        return person

    def _decided(
        self, request: HttpRequest, person: Person, change: Callable[[], PersonDecision | None], *, done: Any
    ) -> HttpResponse:
        """Decide and say so, or say why it cannot be; the page that is shown next is of who was made, or the same."""
        try:
            decision = change()
        except DomainError as error:
            messages.error(request, error.detail)
            return _to_page(person.pk)
        if decision is None:
            messages.success(request, done)
            return _to_page(person.pk)
        messages.success(request, f"{done} {UNDONE_BELOW}")
        return _to_page(decision.details.get("made") or person.pk)


def _to_page(person_id: UUID | str) -> HttpResponseRedirect:
    if not Person.objects.filter(pk=person_id, merged_into__isnull=True).exists():
        return redirect("admin:photos_person_changelist")
    return redirect(reverse("admin:photos_person_change", args=[person_id]))


def _keys(request: HttpRequest, name: str) -> list[UUID]:
    try:
        return [UUID(one) for one in request.POST.getlist(name) if one]
    except ValueError as error:
        # a forged form: the page offers no such rows
        raise BadRequest("The form chooses rows by what is no key.") from error
