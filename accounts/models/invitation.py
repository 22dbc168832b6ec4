from typing import Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Lower, Now
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from accounts.models.library import Library, Role
from accounts.models.user import User
from accounts.roles import Permission


class InvitationState(models.TextChoices):
    """Whether an invitation can be accepted now, and if not, why."""

    OPEN = "open", _("open")
    ACCEPTED = "accepted", _("accepted")
    REVOKED = "revoked", _("revoked")
    RUN_OUT = "run_out", _("run out")


class InvitationQuerySet(models.QuerySet["Invitation"]):
    """Reads of invitations."""

    def unanswered(self) -> Self:
        """Invitations that were neither accepted nor revoked; some may have run out."""
        return self.filter(accepted_at__isnull=True, revoked_at__isnull=True)

    def open(self) -> Self:
        """Invitations that can be accepted now, by the database's clock."""
        return self.unanswered().filter(expires_at__gt=Now())

    def with_state(self) -> Self:
        """Annotate each invitation with its `state`, an InvitationState, by the database's clock."""
        return self.annotate(
            state=Case(
                When(accepted_at__isnull=False, then=Value(InvitationState.ACCEPTED)),
                When(revoked_at__isnull=False, then=Value(InvitationState.REVOKED)),
                When(expires_at__lte=Now(), then=Value(InvitationState.RUN_OUT)),
                default=Value(InvitationState.OPEN),
                output_field=models.CharField(),
            )
        )

    def manageable_by(self, user: User | AnonymousUser) -> Self:
        """Invitations into libraries whose members `user` manages: nobody else sees them."""
        return self.filter(library__in=Library.objects.permitting(user, Permission.MANAGE_MEMBERS))


class Invitation(models.Model):
    """Lets whoever reads the mail of an address join a library, once.

    The token is sent by mail and kept as SHA-256 (hex): it has 256 bits of its own, so that a fast hash is enough. It
    is worth something for as long as whoever invited could still do so.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(_("e-mail address"), max_length=254)
    library = models.ForeignKey(Library, on_delete=models.CASCADE, related_name="invitations")
    # a role that an unanswered one gives is not deleted (`services.roles`); an answered one has given it, and may go
    role = models.ForeignKey(Role, on_delete=models.CASCADE, related_name="invitations")
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="sent_invitations",
        verbose_name=_("invited by"),
    )
    token_sha256 = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)
    expires_at = models.DateTimeField(_("expires"))
    accepted_at = models.DateTimeField(_("accepted"), null=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, editable=False)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        constraints = [
            # as the address of an account, which it is compared with
            models.CheckConstraint(condition=Q(email=Lower("email")), name="invitation_email_is_lower_case"),
            models.CheckConstraint(condition=Q(token_sha256__length=64), name="invitation_token_is_hashed"),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("created_at")), name="invitation_expires_after_creation"
            ),
            # what was accepted cannot be taken back, and what was taken back not accepted
            models.CheckConstraint(
                condition=Q(accepted_at__isnull=True) | Q(revoked_at__isnull=True), name="invitation_has_one_end"
            ),
            # of two that an address could accept, one would be forgotten when the other is revoked
            models.UniqueConstraint(
                fields=["library", "email"],
                condition=Q(accepted_at__isnull=True, revoked_at__isnull=True),
                name="invitation_open_unique",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} · {self.library}"
