"""Addresses below /api/v1/ that are about accounts."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from accounts.api.libraries import LibraryViewSet
from accounts.api.me import OwnAccountView
from accounts.api.members import MemberViewSet
from accounts.api.roles import RoleViewSet
from accounts.api.tokens import TokenRefreshView, TokenView

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("libraries", LibraryViewSet, basename="library")
router.register("libraries/<uuid:library_id>/members", MemberViewSet, basename="member")
router.register("roles", RoleViewSet, basename="role")

urlpatterns = [
    path("auth/token", TokenView.as_view(), name="auth-token"),
    path("auth/token/refresh", TokenRefreshView.as_view(), name="auth-token-refresh"),
    path("auth/me", OwnAccountView.as_view(), name="auth-me"),
    *router.urls,
]
