"""Addresses below /api/v1/ that are about accounts."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from accounts.api import schema  # noqa: F401 - imported for its effect
from accounts.api.audit import AuditViewSet
from accounts.api.invitations import AcceptInvitationView, InvitationViewSet, LibraryInvitationViewSet
from accounts.api.keys import ApiKeyViewSet
from accounts.api.libraries import LibraryViewSet
from accounts.api.me import OwnAccountView
from accounts.api.members import MemberViewSet
from accounts.api.passwords import PasswordChangeView, PasswordResetConfirmView, PasswordResetView
from accounts.api.roles import RoleViewSet
from accounts.api.second_factor import (
    RecoveryCodesView,
    SecondFactorConfirmView,
    SecondFactorDisableView,
    SecondFactorView,
)
from accounts.api.social import ProvidersView, SocialAccountsView, SocialAccountView, SocialTokenView
from accounts.api.tokens import TokenRefreshView, TokenRevokeView, TokenView

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("audit", AuditViewSet, basename="audit-event")
router.register("libraries", LibraryViewSet, basename="library")
router.register("keys", ApiKeyViewSet, basename="key")
router.register("libraries/<uuid:pk>/invitations", LibraryInvitationViewSet, basename="library-invitation")
router.register("invitations", InvitationViewSet, basename="invitation")
router.register("libraries/<uuid:library_id>/members", MemberViewSet, basename="member")
router.register("roles", RoleViewSet, basename="role")

urlpatterns = [
    path("auth/token", TokenView.as_view(), name="auth-token"),
    path("auth/token/refresh", TokenRefreshView.as_view(), name="auth-token-refresh"),
    path("auth/token/revoke", TokenRevokeView.as_view(), name="auth-token-revoke"),
    path("auth/password/change", PasswordChangeView.as_view(), name="auth-password-change"),
    path("auth/password/reset", PasswordResetView.as_view(), name="auth-password-reset"),
    path("auth/password/reset/confirm", PasswordResetConfirmView.as_view(), name="auth-password-reset-confirm"),
    path("auth/second-factor", SecondFactorView.as_view(), name="auth-second-factor"),
    path("auth/second-factor/confirm", SecondFactorConfirmView.as_view(), name="auth-second-factor-confirm"),
    path("auth/second-factor/disable", SecondFactorDisableView.as_view(), name="auth-second-factor-disable"),
    path("auth/second-factor/recovery-codes", RecoveryCodesView.as_view(), name="auth-second-factor-recovery-codes"),
    path("auth/social/providers", ProvidersView.as_view(), name="auth-social-providers"),
    path("auth/social/token", SocialTokenView.as_view(), name="auth-social-token"),
    path("auth/social/accounts", SocialAccountsView.as_view(), name="auth-social-accounts"),
    path("auth/social/accounts/<int:pk>", SocialAccountView.as_view(), name="auth-social-account"),
    path("auth/invitations/accept", AcceptInvitationView.as_view(), name="auth-invitations-accept"),
    path("auth/me", OwnAccountView.as_view(), name="auth-me"),
    *router.urls,
]
