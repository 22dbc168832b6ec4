"""Which pages of others may call the API from a browser (CORS). They send tokens or keys; cookies are never allowed."""

from typing import Any
from urllib.parse import urlsplit

from corsheaders.defaults import default_headers
from django.core.exceptions import ImproperlyConfigured

from config.settings.environment import env

API = r"^/api/"
NOWHERE = r"(?!)"
USUAL_PORTS = {"http": 80, "https": 443}


def parsed_origins(given: list[str]) -> list[str]:
    """Give the origins; raises ImproperlyConfigured for what is none."""
    for origin in given:
        try:
            is_origin = _as_browsers_write(origin) == origin
        except ValueError:
            is_origin = False
        if not is_origin:
            raise ImproperlyConfigured(
                f"ALLOWED_ORIGINS: {origin!r} is no origin: write scheme, host, and the port if it is not the usual "
                "one, in small letters and with nothing behind, as https://app.example.org; * is not taken"
            )
    return given


def _as_browsers_write(origin: str) -> str:
    """Write an origin as the header has it, or none would ever be found in the list; "" for what is none."""
    parts = urlsplit(origin)
    if parts.scheme not in USUAL_PORTS or not parts.hostname or "*" in parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = "" if parts.port in (None, USUAL_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def cors(origins: list[str]) -> dict[str, Any]:
    """Give the settings of django-cors-headers for some origins; for none it does nothing at all."""
    return {
        "CORS_ALLOWED_ORIGINS": origins,
        "CORS_URLS_REGEX": API if origins else NOWHERE,
        "CORS_ALLOW_CREDENTIALS": False,
        "CORS_ALLOW_METHODS": ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"),
        "CORS_ALLOW_HEADERS": (
            *default_headers,
            "x-api-key",
            "idempotency-key",
            "if-match",
            "if-none-match",
            "if-range",
            "range",
            "last-event-id",
            # resumable uploads (tus)
            "tus-resumable",
            "upload-length",
            "upload-defer-length",
            "upload-offset",
            "upload-metadata",
            "upload-checksum",
            "upload-concat",
        ),
        "CORS_EXPOSE_HEADERS": (
            "Location",
            "Content-Location",
            "Content-Disposition",
            "Content-Range",
            "Accept-Ranges",
            "ETag",
            "Link",
            "Deprecation",
            "Sunset",
            "Retry-After",
            "RateLimit",
            "RateLimit-Policy",
            "Idempotent-Replayed",
            "WWW-Authenticate",
            "Darkroom-Photo",
            "Upload-Offset",
            "Upload-Length",
            "Upload-Expires",
            "Upload-Metadata",
            "Tus-Resumable",
            "Tus-Version",
            "Tus-Extension",
            "Tus-Max-Size",
            "Tus-Checksum-Algorithm",
        ),
        # what browsers take at most; a change of the lists above is seen after this
        "CORS_PREFLIGHT_MAX_AGE": 7200,
    }


# pages of others that may call the API from a browser, as https://app.example.org; none: no CORS
ALLOWED_ORIGINS = parsed_origins(env.list("ALLOWED_ORIGINS", default=[]))

globals().update(cors(ALLOWED_ORIGINS))
