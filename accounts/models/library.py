from typing import Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Exists, Func, OuterRef, Q, Subquery, Value
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from accounts.models.user import User
from accounts.roles import BuiltInRole, Permission


class Role(models.Model):
    """A named set of permissions that a membership gives in one library."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(_("name"), max_length=64, unique=True)
    permissions = ArrayField(models.CharField(max_length=64, choices=Permission.choices), default=list, blank=True)
    is_built_in = models.BooleanField(_("built in"), default=False, editable=False)

    class Meta:
        verbose_name = _("role")
        verbose_name_plural = _("roles")

    def __str__(self) -> str:
        return self.name


class _Common(Func):
    """The elements that two arrays have in common."""

    template = "ARRAY(SELECT unnest(%(expressions)s) ORDER BY 1)"
    arg_joiner = ") INTERSECT SELECT unnest("


class LibraryQuerySet(models.QuerySet["Library"]):
    """Reads of libraries; every one that serves a user starts with `visible_to`."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Libraries whose photos `user` may see."""
        return self.permitting(user, Permission.VIEW_PHOTOS)

    def permitting(self, user: User | AnonymousUser, permission: str) -> Self:
        """Libraries in which `user` holds `permission`. A superuser holds all, a deactivated account none.

        A key that the user acts with narrows both: to its scopes, and to its library if it has one. A library that is
        being erased lets nobody in.
        """
        if not user.is_authenticated or not user.is_active:
            return self.none()
        key = user.acting_key
        if key is not None and permission not in key.scopes:
            return self.none()
        opened = self.filter(erasure_requested_at__isnull=True)
        if key is not None and key.library_id is not None:
            opened = opened.filter(id=key.library_id)
        if user.is_superuser:
            return opened.all()
        memberships = Membership.objects.filter(user=user, role__permissions__contains=[permission])
        return opened.filter(id__in=memberships.values("library_id"))

    def administered_alone_by(self, user: User) -> Self:
        """Libraries of which `user`, active or not, is an admin by the built-in role, and no other active one is."""
        admins = Membership.objects.filter(library=OuterRef("pk"), role__name=BuiltInRole.ADMIN)
        others = admins.filter(user__is_active=True).exclude(user=user)
        return self.filter(Exists(admins.filter(user=user)), ~Exists(others))

    def with_own_role(self, user: User | AnonymousUser) -> Self:
        """Annotate each library with what `user` is and may do there: `own_role` (a name) and `own_permissions`.

        A superuser holds all permissions, also where there is no membership and so no role. Of a key's owner the
        permissions are those that the key leaves.
        """
        memberships = Membership.objects.filter(library=OuterRef("pk"), user=user.pk)
        permissions = ArrayField(models.CharField())
        everything = Value(list(Permission), output_field=permissions)
        given = everything if user.is_superuser else Subquery(memberships.values("role__permissions"))
        key = user.acting_key if isinstance(user, User) else None
        if key is not None:
            scopes = Value(list(key.scopes), output_field=permissions)
            given = _Common(given, scopes, output_field=permissions)
        return self.annotate(own_role=Subquery(memberships.values("role__name")), own_permissions=given)


def default_quota() -> int | None:
    """Give the quota of a new library, in bytes."""
    return settings.LIBRARY_QUOTA_BYTES


class Library(models.Model):
    """The unit of tenancy, permission and consent. A photo belongs to one library."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(_("name"), max_length=200)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    face_analysis = models.BooleanField(
        _("face analysis"),
        default=False,
        editable=False,
        help_text=_("Faces are biometric data: they are looked for only where this has been switched on."),
    )
    face_analysis_changed_at = models.DateTimeField(_("face analysis switched"), null=True, editable=False)
    face_analysis_changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("face analysis switched by"),
        null=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="face_analysis_switches",
    )
    # nothing: it was switched on before versions were kept
    face_analysis_consent_version = models.CharField(
        _("version of the text that was agreed to"),
        max_length=32,
        blank=True,
        editable=False,
        default="",
        db_default="",
    )
    quota_bytes = models.PositiveBigIntegerField(
        _("quota in bytes"),
        null=True,
        blank=True,
        default=default_quota,
        help_text=_("Of originals, those in the trash too; none: no limit."),
    )
    # from then on nobody is let in: it goes with everything in it
    erasure_requested_at = models.DateTimeField(_("to be erased since"), null=True, editable=False)

    objects = LibraryQuerySet.as_manager()

    class Meta:
        verbose_name = _("library")
        verbose_name_plural = _("libraries")
        constraints = [
            # commands name a library by its name
            models.UniqueConstraint(fields=["name"], name="library_name_unique"),
            models.CheckConstraint(condition=~Q(name=""), name="library_name_not_empty"),
            # consent without a time is no consent
            models.CheckConstraint(
                condition=Q(face_analysis=False) | Q(face_analysis_changed_at__isnull=False),
                name="library_face_analysis_has_time",
            ),
            # what was agreed to holds for as long as it is on
            models.CheckConstraint(
                condition=Q(face_analysis=True) | Q(face_analysis_consent_version=""),
                name="library_consent_version_while_on",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def used_bytes(self) -> int:
        """Bytes of the originals that count towards the quota, as the database has counted them."""
        return self.usage.used_bytes if hasattr(self, "usage") else 0


class Membership(models.Model):
    """Gives a user a role in a library."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    library = models.ForeignKey(Library, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.ForeignKey(Role, on_delete=models.PROTECT, related_name="memberships")
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [
            # one role a library: what somebody may do is read in one place
            models.UniqueConstraint(fields=["library", "user"], name="membership_library_user_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.library} · {self.role}"
