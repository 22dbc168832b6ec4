"""Addresses below /api/v1/ that are about accounts."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from accounts.api import schema  # noqa: F401 - imported for its effect
from accounts.api.audit import AuditViewSet
from accounts.api.keys import ApiKeyViewSet
from accounts.api.libraries import LibraryViewSet
from accounts.api.me import OwnAccountView
from accounts.api.tokens import TokenRefreshView, TokenView

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("audit", AuditViewSet, basename="audit-event")
router.register("libraries", LibraryViewSet, basename="library")
router.register("keys", ApiKeyViewSet, basename="key")

urlpatterns = [
    path("auth/token", TokenView.as_view(), name="auth-token"),
    path("auth/token/refresh", TokenRefreshView.as_view(), name="auth-token-refresh"),
    path("auth/me", OwnAccountView.as_view(), name="auth-me"),
    *router.urls,
]
