"""What browsers are told, so that a page of ours can do no more than it was made for."""

from typing import Any

from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE

from config.settings.environment import env

# where pictures come from beside ourselves: the bucket's or the CDN's origin, if clients are sent there
MEDIA_ORIGINS = env.list("MEDIA_ORIGINS", default=[])

CONTENT_SECURITY_POLICY: dict[str, Any] = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        # data: small icons in style sheets, and placeholders
        "img-src": [SELF, "data:", *MEDIA_ORIGINS],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    },
}
# pages of others that want more: the admin's theme evaluates expressions that stand in its own templates (Alpine.js)
# and sets styles on elements, as Swagger UI does
CSP_OF_ADMIN = {"script-src": [UNSAFE_EVAL], "style-src": [UNSAFE_INLINE]}
CSP_OF_API_DOCS = {"style-src": [UNSAFE_INLINE]}

# no script of ours reads it: forms carry the token themselves. nosniff, framing, referrers, openers and the other rules
# of cookies are Django's own defaults
CSRF_COOKIE_HTTPONLY = True
