"""Showing who one is, beside a password: a second factor, and accounts elsewhere. Both are django-allauth's."""

from config.settings.environment import env

# of its parts none logs anybody in by itself: `accounts.services` decides, and gives tokens
IDENTITY_APPS = [
    "allauth.account",
    "allauth.mfa",
]

# a code of somebody's phone:

# staff and superusers without a second factor may then do nothing but set one up
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
