from typing import Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from accounts.models import Library, User
from accounts.roles import Permission
from photos.models.face import Face
from photos.models.person import Person


class DecisionKind(models.TextChoices):
    """What somebody did with people, by one click."""

    NAME = "name", _("named")
    HIDE = "hide", _("hid")
    SHOW = "show", _("showed again")
    COVER = "cover", _("chose the cover of")
    MERGE = "merge", _("merged others into")
    SPLIT = "split", _("split")
    MOVE = "move", _("moved a face to")
    REJECT = "reject", _("said that a face is not")
    CONFIRM = "confirm", _("confirmed")


class PersonDecisionQuerySet(models.QuerySet["PersonDecision"]):
    """Reads of decisions; every one that serves a user starts with `visible_to`."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Decisions of the libraries in which `user` may see people; none where face analysis is off."""
        libraries = Library.objects.visible_to(user).permitting(user, Permission.VIEW_PEOPLE)
        return self.filter(library__in=libraries.filter(face_analysis=True))

    def in_force(self) -> Self:
        """Decisions that nobody has undone."""
        return self.filter(undone_at__isnull=True)

    def about(self, person: Person) -> Self:
        """Decisions about a person: those of them, those that gave them a face, and those that took one away."""
        links = FaceLink.objects.filter(decision=OuterRef("pk"))
        return self.filter(
            Q(person=person) | Exists(links.filter(person=person)) | Exists(links.filter(before=person.pk))
        )

    def about_face(self, face: Face) -> Self:
        """Decisions that said something of a face, beside holding it where it was."""
        return self.filter(Exists(FaceLink.objects.said().filter(decision=OuterRef("pk"), face=face)))

    def with_face_count(self) -> Self:
        """Annotate each decision with `face_count`: the faces that it is about, without those that it only held."""
        links = FaceLink.objects.said().filter(decision=OuterRef("pk"))
        counted = links.order_by().values("decision").annotate(count=models.Count("pk")).values("count")
        return self.annotate(
            face_count=models.functions.Coalesce(models.Subquery(counted, output_field=models.IntegerField()), 0)
        )


class PersonDecision(models.Model):
    """What somebody decided about people, by one click; its links say what that means for each face.

    `person` is whom it is about: the one who was named, into whom others were merged, who was split, who a face was
    moved to (nobody, where it was said to be of nobody), or whom a face is not. `details` has what undoing needs: the
    name or cover before and after, the merged people, the person that was made. Names are erased with the person.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    library = models.ForeignKey(Library, on_delete=models.CASCADE, related_name="person_decisions")
    kind = models.CharField(_("kind"), max_length=8, choices=DecisionKind.choices)
    # none: said to be of nobody, or somebody who is gone; what it says of the faces of others stays in force
    person = models.ForeignKey(Person, null=True, on_delete=models.SET_NULL, related_name="decisions")
    # nobody: the account is gone, or the decision is older than decisions are kept
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="person_decisions"
    )
    made_at = models.DateTimeField(_("time"), default=timezone.now, editable=False)
    undone_at = models.DateTimeField(_("undone"), null=True)
    undone_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="undone_person_decisions"
    )
    details = models.JSONField(default=dict)

    objects = PersonDecisionQuerySet.as_manager()

    class Meta:
        verbose_name = _("decision about people")
        verbose_name_plural = _("decisions about people")
        indexes = [models.Index(fields=["library", "-id"], name="person_decision_library")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} · {self.made_at:%Y-%m-%d %H:%M}"


class LinkKind(models.TextChoices):
    """What a decision means for one face and one person."""

    IS = "is", _("is")
    HELD = "held", _("is held by")
    IS_NOT = "is_not", _("is not")


class FaceLinkQuerySet(models.QuerySet["FaceLink"]):
    """Reads of links."""

    def said(self) -> Self:
        """Those that say something of a face, beside holding it where it was."""
        return self.exclude(kind=LinkKind.HELD, before=models.F("person"))


class FaceLink(models.Model):
    """A must-link or a cannot-link between a face and a person, which every grouping obeys while it is in force.

    `is`: somebody said so of this very face. `held`: the face was the person's when something was decided of that
    person. `is_not`: it is not. A face `is` nobody where `person` is none. `before` is the key of the person whose the
    face was just before; that person may be gone. One that is not in force was ended by a later decision, or its own
    was undone.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    decision = models.ForeignKey(PersonDecision, on_delete=models.CASCADE, related_name="links")
    face = models.ForeignKey(Face, on_delete=models.CASCADE, related_name="links")
    person = models.ForeignKey(Person, null=True, on_delete=models.CASCADE, related_name="links")
    kind = models.CharField(max_length=8, choices=LinkKind.choices)
    before = models.UUIDField(null=True)
    in_force = models.BooleanField(default=True)
    ended_by = models.ForeignKey(PersonDecision, null=True, on_delete=models.SET_NULL, related_name="ended_links")

    objects = FaceLinkQuerySet.as_manager()

    class Meta:
        verbose_name = _("link of a face")
        verbose_name_plural = _("links of faces")
        constraints = [
            # a face is one person
            models.UniqueConstraint(
                fields=["face"],
                name="face_link_one_person",
                condition=Q(in_force=True, kind__in=[LinkKind.IS, LinkKind.HELD]),
            ),
            # said twice is said once
            models.UniqueConstraint(
                fields=["face", "person"], name="face_link_not_twice", condition=Q(in_force=True, kind=LinkKind.IS_NOT)
            ),
            models.CheckConstraint(condition=Q(kind__in=LinkKind.values), name="face_link_kind_known"),
            # only that a face is somebody can be said of nobody
            models.CheckConstraint(
                condition=Q(kind=LinkKind.IS) | Q(person__isnull=False), name="face_link_names_person"
            ),
            models.CheckConstraint(condition=Q(in_force=False) | Q(ended_by=None), name="face_link_ended_is_over"),
        ]
        indexes = [
            # whose faces others got
            models.Index(fields=["before"], name="face_link_before"),
        ]

    def __str__(self) -> str:
        return f"{self.face_id} {self.kind} {self.person_id}"
