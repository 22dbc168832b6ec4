"""Showing who one is, beside a password: a second factor, and accounts elsewhere. Both are django-allauth's."""

from typing import Any

from config.settings.environment import env

# of its parts none logs anybody in by itself: `accounts.services` decides, and gives tokens
IDENTITY_APPS = [
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.google",
    "allauth.socialaccount.providers.github",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.headless",
]

# a code of somebody's phone:

# staff and superusers without a second factor may then do nothing but set one up; their API keys go on
STAFF_SECOND_FACTOR = env.bool("STAFF_SECOND_FACTOR", default=False)
# what secrets are encrypted with at rest; none: a key derived from SECRET_KEY. Former ones go on decrypting
SECOND_FACTOR_KEY = env.str("SECOND_FACTOR_KEY", default="")
SECOND_FACTOR_KEY_FALLBACKS = env.list("SECOND_FACTOR_KEY_FALLBACKS", default=[])
# wrong codes of one user, and in how many seconds, until no code is looked at
SECOND_FACTOR_ATTEMPTS = 5
SECOND_FACTOR_ATTEMPTS_SECONDS = 300
# between the secret and the first code; seconds
SECOND_FACTOR_ENROLMENT_SECONDS = 900

MFA_ADAPTER = "accounts.second_factor_secrets.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "Darkroom"
# a code of the step before or after counts too: clocks of phones differ (RFC 6238, section 5.2)
MFA_TOTP_TOLERANCE = 1

# who is who:

ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*"]
# mails are sent by `accounts.mail` alone
ACCOUNT_EMAIL_VERIFICATION = "none"

# accounts elsewhere:

# whether somebody joins whom nobody has invited
SOCIAL_SIGNUP = env.bool("SOCIAL_SIGNUP", default=False)
# a page for a login that failed and whose begin is not known any more, ours or the front end's; `error` says how
SOCIAL_LOGIN_ERROR_URL = env.str("SOCIAL_LOGIN_ERROR_URL", default="") or "/login-failed"
# between the return from the provider and the request for tokens; seconds
SOCIAL_LOGIN_SECONDS = 600

# PKCE binds the code to the browser that began (RFC 7636); not every provider of allauth's has it on by itself
SOCIALACCOUNT_PROVIDERS: dict[str, Any] = {}
for _name in ("google", "github"):
    if _client_id := env.str(f"{_name.upper()}_CLIENT_ID", default=""):
        _app = {"client_id": _client_id, "secret": env.str(f"{_name.upper()}_CLIENT_SECRET")}
        SOCIALACCOUNT_PROVIDERS[_name] = {"APPS": [_app], "OAUTH_PKCE_ENABLED": True}
if _issuer := env.str("OIDC_ISSUER", default=""):
    _app = {
        "provider_id": "oidc",
        "name": env.str("OIDC_NAME", default="") or "OpenID Connect",
        "client_id": env.str("OIDC_CLIENT_ID"),
        "secret": env.str("OIDC_CLIENT_SECRET"),
        "settings": {"server_url": _issuer.rstrip("/")},
    }
    SOCIALACCOUNT_PROVIDERS["openid_connect"] = {"APPS": [_app], "OAUTH_PKCE_ENABLED": True}

SOCIALACCOUNT_ADAPTER = "accounts.social_adapter.SocialAccountAdapter"
# accounts are found, linked and made in `accounts.services.social_logins`, and by nothing of allauth's
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
SOCIALACCOUNT_AUTO_SIGNUP = False
SOCIALACCOUNT_STORE_TOKENS = False

# no HTML pages
HEADLESS_ONLY = True
HEADLESS_CLIENTS = ("browser",)
HEADLESS_FRONTEND_URLS = {"socialaccount_login_error": SOCIAL_LOGIN_ERROR_URL}
