"""Addresses."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from accounts.pages import InvitationPage, LoginFailedPage, PasswordResetPage

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("", include("config.health_urls")),
    path("invitation", InvitationPage.as_view(), name="invitation"),
    path("password-reset", PasswordResetPage.as_view(), name="password-reset"),
    path("login-failed", LoginFailedPage.as_view(), name="login-failed"),
    path("admin/", admin.site.urls),
    path("s/", include("gallery.sharing.urls")),
    path("auth/", include("accounts.social_urls")),
    path("api/v1/", include("accounts.api.urls")),
    path("api/v1/", include("gallery.api.urls")),
    path("api/schema", SpectacularAPIView.as_view(), name="api-schema"),
    path("api/docs", SpectacularSwaggerSplitView.as_view(url_name="api-schema"), name="api-docs"),
]

handler400 = "config.problems.bad_request"
handler403 = "config.problems.permission_denied"
handler404 = "config.problems.page_not_found"
handler500 = "config.problems.server_error"
