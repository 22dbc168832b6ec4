from typing import Self

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Count, OuterRef, Subquery
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
        """People of the libraries in which `user` may see photos and people; none where face analysis is off."""
        return self.filter(library__in=libraries_showing_people(user))

    def with_faces(self) -> Self:
        """Annotate each person with `face_count`, `photo_count` and `cover`.

        Kept faces count, on photos that are not in the trash. `cover` is the best of them as {"id", "chip_key"}, or
        None. Subqueries, so that a page of people costs what its own people cost.
        """
        from photos.models.face import Face  # which names Person itself

        faces = Face.objects.kept().filter(person=OuterRef("pk"), photo__trashed_at__isnull=True).order_by()
        counts = faces.values("person").annotate(faces=Count("pk"), photos=Count("photo", distinct=True))
        best = faces.order_by("-quality", "-confidence", "pk")
        return self.annotate(
            face_count=Coalesce(Subquery(counts.values("faces")), 0),
            photo_count=Coalesce(Subquery(counts.values("photos")), 0),
            cover=Subquery(best.values(face=JSONObject(id="pk", chip_key="chip_key"))[:1]),
        )


class Person(models.Model):
    """Somebody whose faces were grouped; nameless until a person says who it is. A named one survives regrouping."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    library = models.ForeignKey(Library, on_delete=models.PROTECT, related_name="people")
    name = models.CharField(_("name"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    objects = PersonQuerySet.as_manager()

    class Meta:
        verbose_name = _("person")
        verbose_name_plural = _("people")
        indexes = [models.Index(fields=["library", "name"], name="person_library_name")]

    def __str__(self) -> str:
        return self.name or f"unnamed person {str(self.id)[-6:]}"
