"""The admin site: django-unfold's look, and where its sidebar and its front page are made."""

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

from config.settings.environment import env

# stands beside the title, so that nobody takes one installation for another
ENVIRONMENT_LABEL = env.str("ENVIRONMENT_LABEL", default="" if env.str("DATABASE_URL", default="") else "Local")

# the only pages to log in at are the admin's
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

FORMAT_MODULE_PATH = ["config.formats"]

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Darkroom",
    "SITE_HEADER": "Darkroom",
    "SITE_SUBHEADER": _("Photo library"),
    "SITE_SYMBOL": "camera",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _request: static("gallery/favicon.svg")},
    ],
    "SITE_URL": None,
    "SHOW_VIEW_ON_SITE": False,
    "ENVIRONMENT": lambda _request: [ENVIRONMENT_LABEL, "info"] if ENVIRONMENT_LABEL else None,
    "LOGIN": {"form": "accounts.admin_second_factor.LoginForm"},
    "ACCOUNT": {
        "navigation": [
            {"title": _("Second factor"), "link": reverse_lazy("admin:second_factor")},
            {"title": _("Change password"), "link": reverse_lazy("admin:password_change")},
        ]
    },
    "DASHBOARD_CALLBACK": "gallery.admin.dashboard.dashboard_context",
    "STYLES": [lambda _request: static("gallery/admin.css")],
    "COLORS": {
        "primary": {
            "50": "oklch(96.2% .018 272.3)",
            "100": "oklch(93% .034 272.8)",
            "200": "oklch(87% .065 274)",
            "300": "oklch(78.5% .115 274.7)",
            "400": "oklch(67.3% .182 276.9)",
            "500": "oklch(58.5% .233 277.1)",
            "600": "oklch(51.1% .262 277)",
            "700": "oklch(45.7% .24 277)",
            "800": "oklch(39.8% .195 277.4)",
            "900": "oklch(35.9% .144 278.7)",
            "950": "oklch(25.7% .09 281.3)",
        },
    },
    # both search through the cache, and whole tables at that
    "SIDEBAR": {
        "show_search": False,
        "command_search": False,
        "show_all_applications": False,
        "navigation": "gallery.admin.sidebar.navigation",
    },
}
