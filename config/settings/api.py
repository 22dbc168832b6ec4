"""The REST API: Django REST framework, JSON Web Tokens, OpenAPI."""

from datetime import timedelta
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from accounts.rate_limits import parse
from config.settings.environment import env


def rate(name: str, default: str) -> str | None:
    """Read a rate such as 20/min; None for an empty one, which is no limit. Raises ImproperlyConfigured."""
    value = env.str(name, default=default).strip()
    try:
        return value if value and parse(value) else None
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}") from error


REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        # first: a key that is sent is never overlooked for something else
        "accounts.api.authentication.ApiKeyAuthentication",
        "accounts.api.bearer.TokenAuthentication",
        # somebody who is logged in to the admin may try the API in its documentation
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.api.access.Declared"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["accounts.api.parsers.BoundedJSONParser"],
    # no list without it
    "DEFAULT_PAGINATION_CLASS": "gallery.api.pagination.NewestFirst",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "accounts.api.schema.DeclaredSchema",
    "EXCEPTION_HANDLER": "config.problems.exception_handler",
    "DEFAULT_THROTTLE_CLASSES": ["accounts.api.throttles.RateLimit"],
    # each counted in windows, for all web servers together; empty: no limit
    "DEFAULT_THROTTLE_RATES": {
        # attempts to log in, of one address
        "token": rate("TOKEN_THROTTLE", "20/min"),
        # of one address that shows no credentials, or none that are good
        "anonymous": rate("RATE_LIMIT_ANONYMOUS", "60/min"),
        # of one person, and of one API key
        "user": rate("RATE_LIMIT_USER", "1200/min"),
        "key": rate("RATE_LIMIT_KEY", "1200/min"),
        # these are counted apart from everything else: importers send photo after photo, and a page of a hundred
        # thumbnails is a hundred requests
        "upload": rate("RATE_LIMIT_UPLOADS", "6000/min"),
        "media": rate("RATE_LIMIT_MEDIA", "12000/min"),
    },
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

# mails that set a new password, to one address, whoever asks for them: nobody fills somebody else's mailbox
PASSWORD_RESET_MAILS = rate("RATE_LIMIT_RESET_MAILS", "3/hour")

# SIGNING_KEY comes with the secrets of local, test and production
SIMPLE_JWT: dict[str, Any] = {
    "ALGORITHM": "HS256",
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=5),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=env.int("REFRESH_TOKEN_DAYS", default=14)),
    # a changed password ends every token at once
    "CHECK_REVOKE_TOKEN": True,
}

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Darkroom",
    "DESCRIPTION": "A photo library: upload photos, follow their processing, read what was found.\n\n"
    "Every answer has `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10): "
    '`"user";q=1200;w=60` is 1200 requests within 60 s, `"user";r=1187;t=42` is 1187 left of them, for 42 s. An answer '
    "with `Deprecation` is of an operation that will go; `Sunset` says not before when. What else holds for every "
    "operation is on the page docs/api.md of the source.",
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    # choices that fields of other names, or of the same name, share
    "ENUM_NAME_OVERRIDES": {
        "DecisionKindEnum": "photos.models.DecisionKind",
        "ExportStateEnum": "photos.models.ExportState",
        "FileStateEnum": "processing.models.FileState",
        "ImportStateEnum": "processing.models.ImportState",
        "PermissionEnum": "accounts.roles.Permission",
        "PhotoStateEnum": "processing.states.PhotoState",
        "RunStateEnum": "processing.models.RunState",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "accounts.api.promises.documented.name_fields",
        "config.api_examples.let_alternatives_overlap",
        "config.api_wording.leave_the_code_out",
        "config.api_wording.say_that_no_other_members_are_taken",
        # after the choices, which are components then
        "config.api_examples.add_examples",
    ],
    # from the package beside it: the documentation loads nothing from strangers
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}
