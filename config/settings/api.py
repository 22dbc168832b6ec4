"""The REST API: Django REST framework, JSON Web Tokens, OpenAPI."""

from datetime import timedelta
from typing import Any

from config.settings.environment import env

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework_simplejwt.authentication.JWTAuthentication",
        # somebody who is logged in to the admin may try the API in its documentation
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.api.access.Declared"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["accounts.api.parsers.BoundedJSONParser"],
    # no list without it
    "DEFAULT_PAGINATION_CLASS": "gallery.api.pagination.NewestFirst",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "config.problems.exception_handler",
    # attempts to log in, of one address; empty: as many as there are
    "DEFAULT_THROTTLE_RATES": {"token": env.str("TOKEN_THROTTLE", default="20/min") or None},
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

# SIGNING_KEY comes with the secrets of local, test and production
SIMPLE_JWT: dict[str, Any] = {
    "ALGORITHM": "HS256",
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=5),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=env.int("REFRESH_TOKEN_DAYS", default=14)),
    # a refresh token works once: a second use of it is refused
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
    # a changed password ends every token at once
    "CHECK_REVOKE_TOKEN": True,
    "CHECK_USER_IS_ACTIVE": True,
}

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Darkroom",
    "DESCRIPTION": "A photo library: upload photos, follow their processing, read what was found.",
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    # choices that fields of other names, or of the same name, share
    "ENUM_NAME_OVERRIDES": {
        "PermissionEnum": "accounts.roles.Permission",
        "PhotoStateEnum": "processing.states.PhotoState",
        "RunStateEnum": "processing.models.RunState",
    },
    # from the package beside it: the documentation loads nothing from strangers
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}
