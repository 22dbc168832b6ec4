"""What a browser is given that knew the password of a share: a signed cookie, for this link alone and for an hour."""

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac

from gallery.models import Share

COOKIE = "darkroom_share"
UNLOCKED_SECONDS = 3600
_SALT = "gallery.sharing.unlocked"


def remember(response: HttpResponse, *, request: HttpRequest, share: Share, token: str) -> None:
    """Let the browser that gets `response` look at the share until the hour is over."""
    response.set_cookie(
        COOKIE,
        signing.dumps(_proof(share), salt=_SALT),
        max_age=UNLOCKED_SECONDS,
        path=reverse("shared", args=[token]),
        secure=settings.SESSION_COOKIE_SECURE or request.is_secure(),
        httponly=True,
        # not Strict: it has to come along when the link is followed from a message
        samesite="Lax",
    )


def is_unlocked(request: HttpRequest, share: Share) -> bool:
    """Tell whether the share asks for no password, or the browser knew the one that it has now."""
    if not share.has_password:
        return True
    try:
        given = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=UNLOCKED_SECONDS)
    except signing.BadSignature:
        return False
    return constant_time_compare(given, _proof(share))


def _proof(share: Share) -> str:
    """Name a share with its password, so that what was signed ends with either."""
    return salted_hmac(_SALT, f"{share.pk}:{share.password}", algorithm="sha256").hexdigest()
