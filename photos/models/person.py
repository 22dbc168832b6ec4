from typing import Self

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Case, Count, F, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Coalesce, JSONObject
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from accounts.models import Library, User
from accounts.roles import Permission


def libraries_showing_people(user: User | AnonymousUser) -> models.QuerySet[Library]:
    """Libraries in which `user` may see photos and who is on them: none where face analysis is off."""
    libraries = Library.objects.visible_to(user).permitting(user, Permission.VIEW_PEOPLE)
    return libraries.filter(face_analysis=True)


class PersonQuerySet(models.QuerySet["Person"]):
    """Reads of people."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """People of the libraries in which `user` may see photos and people; none where face analysis is off.

        Those who were merged into others are not among them, hidden ones are.
        """
        return self.merged_too(user).filter(merged_into__isnull=True)

    def merged_too(self, user: User | AnonymousUser) -> Self:
        """People as in `visible_to`, and those who were merged into others: what a client still holds the key of."""
        return self.filter(library__in=libraries_showing_people(user))

    def with_faces(self, user: User | AnonymousUser) -> Self:
        """Annotate each person, whom `user` may see, with `face_count`, `photo_count` and `cover`.

        Kept faces count, on photos that are neither in the trash nor hidden from `user`. `cover` is the one of them
        that was chosen, else the best, as {"id", "chip_key"}, or None. Subqueries, so that a page of people costs what
        its own people cost.
        """
        from photos.models.face import Face  # which names Person itself
        from photos.models.photo import not_hidden_from

        shown = Face.objects.kept().filter(not_hidden_from(user, "photo__"), photo__trashed_at__isnull=True)
        faces = shown.filter(person=OuterRef("pk")).order_by()
        counts = faces.values("person").annotate(faces=Count("pk"), photos=Count("photo", distinct=True))
        chosen = Case(When(pk=OuterRef("chosen_cover"), then=Value(0)), default=Value(1))
        best = faces.annotate(after_chosen=chosen).order_by("after_chosen", "-quality", "-confidence", "pk")
        return self.annotate(
            face_count=Coalesce(Subquery(counts.values("faces")), 0),
            photo_count=Coalesce(Subquery(counts.values("photos")), 0),
            cover=Subquery(best.values(face=JSONObject(id="pk", chip_key="chip_key"))[:1]),
        )


class Person(models.Model):
    """Somebody whose faces were grouped; nameless until a person says who it is. A named one survives regrouping.

    One who was `merged_into` another has no face and is in no list; the row is what undoing needs, and tells who still
    holds the key where to look.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    library = models.ForeignKey(Library, on_delete=models.PROTECT, related_name="people")
    name = models.CharField(_("name"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    # left out of lists
    is_hidden = models.BooleanField(_("hidden"), default=False, db_default=False)
    # the face that somebody chose; it may be gone or another's by now, and is nobody's to wait for: no constraint
    chosen_cover = models.ForeignKey(
        "photos.Face", null=True, blank=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    merged_into = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.CASCADE, related_name="merged", editable=False
    )

    objects = PersonQuerySet.as_manager()

    class Meta:
        verbose_name = _("person")
        verbose_name_plural = _("people")
        indexes = [models.Index(fields=["library", "name"], name="person_library_name")]
        constraints = [
            models.CheckConstraint(
                condition=Q(merged_into__isnull=True) | ~Q(merged_into=F("id")), name="person_not_merged_into_itself"
            ),
        ]

    def __str__(self) -> str:
        return self.name or f"unnamed person {str(self.id)[-6:]}"
