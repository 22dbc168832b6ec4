from typing import Self

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from accounts.models import Library, User
from accounts.roles import Permission


class PersonQuerySet(models.QuerySet["Person"]):
    """Reads of people."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """People of the libraries in which `user` may see people; none where face analysis is off, as with faces."""
        libraries = Library.objects.permitting(user, Permission.VIEW_PEOPLE)
        return self.filter(library__in=libraries.filter(face_analysis=True))


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
