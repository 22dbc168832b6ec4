from typing import Self

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Q
from django.db.models.functions import Length, Now
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from accounts.models.library import Library
from accounts.models.user import User
from accounts.roles import Permission

models.CharField.register_lookup(Length)


class AuditAction(models.TextChoices):
    """What the trail tells of."""

    LOGIN_SUCCEEDED = "login.succeeded", _("logged in")
    LOGIN_FAILED = "login.failed", _("failed to log in")
    LOGIN_LOCKED = "login.locked", _("was locked out")
    LOGIN_UNLOCKED = "login.unlocked", _("let in somebody who was locked out")
    TOKEN_REUSED = "token.reused", _("used a token again that was rotated")
    TOKEN_REVOKED = "token.revoked", _("logged out")
    PASSWORD_CHANGED = "password.changed", _("changed the password")
    SECOND_FACTOR_ENABLED = "second_factor.enabled", _("set up a second factor")
    SECOND_FACTOR_DISABLED = "second_factor.disabled", _("took a second factor away")
    SECOND_FACTOR_RENEWED = "second_factor.renewed", _("made new recovery codes")
    SECOND_FACTOR_FAILED = "second_factor.failed", _("gave a wrong code")
    SOCIAL_LINKED = "social.linked", _("linked an account elsewhere")
    SOCIAL_UNLINKED = "social.unlinked", _("took an account elsewhere away")
    USER_INVITED = "user.invited", _("invited somebody")
    INVITATION_REVOKED = "invitation.revoked", _("revoked an invitation")
    USER_JOINED = "user.joined", _("accepted an invitation")
    USER_CHANGED = "user.changed", _("changed an account")
    USER_DEACTIVATED = "user.deactivated", _("deactivated an account")
    USER_REACTIVATED = "user.reactivated", _("reactivated an account")
    KEY_CREATED = "key.created", _("made an API key")
    KEY_REVOKED = "key.revoked", _("revoked an API key")
    ROLE_CREATED = "role.created", _("made a role")
    ROLE_CHANGED = "role.changed", _("changed a role")
    ROLE_DELETED = "role.deleted", _("deleted a role")
    MEMBER_ADDED = "member.added", _("added a member")
    MEMBER_CHANGED = "member.changed", _("changed a member's role")
    MEMBER_REMOVED = "member.removed", _("removed a member")
    SHARE_CREATED = "share.created", _("shared photos")
    SHARE_CHANGED = "share.changed", _("changed a share")
    SHARE_REVOKED = "share.revoked", _("revoked a share")
    PERSON_EXPORTED = "person.exported", _("exported what is held on a person")
    FACE_ANALYSIS_SWITCHED = "face_analysis.switched", _("switched face analysis")
    PHOTOS_RESTORED = "photos.restored", _("brought photos back from the trash")
    PHOTOS_PURGED = "photos.purged", _("deleted photos for good")
    RUNS_RETRIED = "runs.retried", _("let dead or discarded runs start over")
    RUNS_DISCARDED = "runs.discarded", _("gave dead runs up")
    IMPORT_STARTED = "import.started", _("started an import")
    IMPORT_PAUSED = "import.paused", _("paused an import")
    IMPORT_RESUMED = "import.resumed", _("let an import go on")
    IMPORT_CANCELLED = "import.cancelled", _("cancelled an import")
    FACE_SEARCHED = "face.searched", _("searched with a picture of a face")
    EXPORT_REQUESTED = "export.requested", _("asked for an export")
    EXPORT_MADE = "export.made", _("got an export made")
    EXPORT_DOWNLOADED = "export.downloaded", _("downloaded photos as an export")
    EXPORT_DELETED = "export.deleted", _("deleted an export")
    ERASED = "erased", _("had something erased")
    ORIGINAL_DOWNLOADED = "original.downloaded", _("downloaded an original")
    ADMIN_CHANGED = "admin.changed", _("changed something in the admin")


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    """Reads of the trail."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Events of the libraries in which `user` may see them; whoever runs the installation sees all."""
        if user.is_authenticated and user.runs_installation:
            return self.all()
        return self.filter(library_id__in=Library.objects.permitting(user, Permission.VIEW_AUDIT).values("id"))

    def sealed(self) -> Self:
        """Events that are in the chain."""
        return self.filter(sequence__isnull=False)

    def unsealed(self) -> Self:
        """Events that are committed and wait for the sealer."""
        return self.filter(sequence__isnull=True)


class AuditEvent(models.Model):
    """Who did what, to what, from where. Nobody changes or deletes one: triggers refuse it.

    It names people, keys, libraries and subjects by id and by nothing else, so that erasing somebody leaves the chain
    whole. `details` holds no secret, address of a person or place. `hash` is hex SHA-256 over the row and over
    `previous_hash`, that of the event before; both and `sequence` (from 1, without gaps) are the sealer's.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField(_("time"), db_default=Now(), editable=False)
    action = models.CharField(_("action"), max_length=32, choices=AuditAction.choices)
    # ids, not foreign keys: what an event tells of may be gone tomorrow
    actor_id = models.UUIDField(_("who"), null=True)
    key_id = models.UUIDField(_("API key"), null=True)
    library_id = models.UUIDField(_("library"), null=True)
    subject_type = models.CharField(_("kind of subject"), max_length=32, blank=True)
    subject_id = models.CharField(_("subject"), max_length=64, blank=True)
    address = models.GenericIPAddressField(_("address"), null=True)
    details = models.JSONField(_("details"), default=dict)
    sequence = models.BigIntegerField(_("number"), null=True, unique=True, editable=False)
    previous_hash = models.CharField(max_length=64, blank=True, editable=False)
    hash = models.CharField(max_length=64, blank=True, editable=False)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        verbose_name = _("audit event")
        verbose_name_plural = _("audit events")
        indexes = [
            models.Index(fields=["library_id", "-id"], name="audit_event_library"),
            models.Index(fields=["actor_id", "-id"], name="audit_event_actor"),
            # what was done to one thing, lately
            models.Index(fields=["subject_id", "-at"], name="audit_event_subject"),
            models.Index(fields=["address"], name="audit_event_address"),
            # what the sealer takes next
            models.Index(fields=["id"], condition=Q(sequence__isnull=True), name="audit_event_unsealed"),
        ]
        constraints = [
            # a number without a hash would be a hole that nobody sees
            models.CheckConstraint(
                condition=Q(sequence__isnull=True, hash="", previous_hash="")
                | Q(sequence__gte=1, hash__length=64, previous_hash__length=64),
                name="audit_event_sealed_whole",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_action_display()} · {self.at:%Y-%m-%d %H:%M:%S}"
