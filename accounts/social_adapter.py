"""What allauth calls when a provider has said who somebody is: it logs nobody in and makes no account."""

from typing import Any

from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseRedirect

from accounts.services import social_logins
from accounts.services.social_accounts import URLS
from accounts.services.social_logins import Identity

# columns of allauth's
PROVIDER_MAX_LENGTH = 200
UID_MAX_LENGTH = 191


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    """Remembers the identity, and leads back to where the login began, before allauth goes any further."""

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Raise ImmediateHttpResponse with the way back; PermissionDenied for an answer that contradicts itself."""
        social_logins.remember(session=request.session, identity=_identity(sociallogin))
        raise ImmediateHttpResponse(HttpResponseRedirect(sociallogin.state["next"]))

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:  # noqa: ARG002 - its signature
        """Nobody joins by allauth."""
        return False


def _identity(login: SocialLogin) -> Identity:
    said: dict[str, Any] = login.account.extra_data
    _require_one_subject(said)
    _require_own_letters(said)
    addresses = sorted(login.email_addresses, key=lambda one: not one.primary)
    verified = [one.email.lower() for one in addresses if _is_true(one.verified)]
    provider, uid = _provider(login), login.account.uid
    if len(provider) > PROVIDER_MAX_LENGTH or len(uid) > UID_MAX_LENGTH:
        raise PermissionDenied
    return Identity(
        provider=provider,
        uid=uid,
        verified=tuple(verified),
        unverified=tuple(one.email.lower() for one in addresses if one.email.lower() not in verified),
        name=str((said.get("userinfo") or said.get("id_token") or said).get("name") or "").replace("\0", ""),
    )


def _provider(login: SocialLogin) -> str:
    """Name the provider by its URL: people of another issuer, configured later, are others.

    Being no name of allauth's, it also keeps allauth from storing what the provider says of a person.
    """
    provider_id: str = login.account.provider
    return URLS.get(provider_id) or login.provider.app.settings["server_url"]


def _require_one_subject(said: dict[str, Any]) -> None:
    """Refuse user info that is not about whom the ID token is about (OpenID Connect Core, section 5.3.2)."""
    subjects = {part.get("sub") for part in (said.get("userinfo"), said.get("id_token")) if part}
    if len(subjects) > 1:
        raise PermissionDenied


def _require_own_letters(said: dict[str, Any]) -> None:
    """Refuse an address that becomes somebody else's in lower case, as by the sign of Kelvin, which becomes a plain k.

    allauth has put the addresses in lower case by now; what the provider said has them as they are.
    """
    for part in (said, said.get("userinfo"), said.get("id_token")):
        address = str((part or {}).get("email") or "")
        if address.isascii() != address.lower().isascii():
            raise PermissionDenied


def _is_true(verified: object) -> bool:
    """Read what a provider says of an address; some say it as a word, and "false" is a word too."""
    return verified is True or str(verified).lower() == "true"
