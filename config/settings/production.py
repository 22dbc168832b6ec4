"""Production: every secret and address is given, as NAME or as a file by NAME_FILE, or nothing starts."""

from django.core.exceptions import ImproperlyConfigured

from config.settings.base import *

REQUIRED = ("SECRET_KEY", "JWT_SIGNING_KEY", "INTERNAL_TOKEN", "ALLOWED_HOSTS", "DATABASE_URL", "REDIS_URL")
# an HS256 key shorter than its hash is weaker than the hash (RFC 7518, section 3.2)
SECRETS = ("SECRET_KEY", "JWT_SIGNING_KEY", "INTERNAL_TOKEN")
FORMER = ("SECRET_KEY_FALLBACKS", "SECOND_FACTOR_KEY_FALLBACKS")
SECRET_MIN_LENGTH = 32
# different ones; of hex there are 16
SECRET_MIN_CHARACTERS = 8


def _is_guessed(secret: str) -> bool:
    """Whether a secret is short, or what a person types to get on: few different characters, or the framework's own."""
    is_poor = len(set(secret)) < SECRET_MIN_CHARACTERS
    return len(secret) < SECRET_MIN_LENGTH or is_poor or secret.startswith("django-insecure")


def _refuse_defaults() -> None:
    """Raise ImproperlyConfigured with everything that is missing, too short or used twice."""
    given = {name: env.str(name, default="") for name in REQUIRED}
    wrong = [f"{name} is not set" for name, value in given.items() if not value]
    secrets = {name: given[name] for name in SECRETS} | {"SECOND_FACTOR_KEY": SECOND_FACTOR_KEY}
    # what signed once opens as much as what signs now
    former = {name: env.list(name, default=[]) for name in FORMER}
    for name, values in ({name: [value] for name, value in secrets.items()} | former).items():
        if any(_is_guessed(value) for value in values if value):
            wrong.append(f"{name} must be random and have at least {SECRET_MIN_LENGTH} characters")
    set_ones = [value for value in secrets.values() if value]
    if len(set(set_ones)) < len(set_ones):
        wrong.append(f"{', '.join(secrets)} must differ from each other")
    if STORAGE_TYPE == "s3" and not S3_BUCKET:
        wrong.append("STORAGE_TYPE is s3, and S3_BUCKET is not set")
    # what an issuer says is believed because it is the issuer that says it
    if not (env.str("OIDC_ISSUER", default="") or "https://").startswith("https://"):
        wrong.append("OIDC_ISSUER must begin with https://")
    if wrong:
        raise ImproperlyConfigured("Darkroom does not start: " + "; ".join(wrong))


_refuse_defaults()

SECRET_KEY = env.str("SECRET_KEY")
# tokens signed with a former key stay valid while it is listed here
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
SIMPLE_JWT["SIGNING_KEY"] = env.str("JWT_SIGNING_KEY")
# programs that may read /metrics and the detail of /health send it as a bearer token
INTERNAL_TOKEN = env.str("INTERNAL_TOKEN")

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# False only where a proxy answers plain HTTP itself
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
# probes inside the cluster speak plain HTTP
SECURE_REDIRECT_EXEMPT = [r"^live$", r"^ready$", r"^health", r"^metrics$"]
# only behind a proxy that sets this header itself and drops the client's: else anybody could claim HTTPS
if env.bool("TRUST_FORWARDED_PROTO", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=365 * 24 * 3600)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = env.bool("SECURE_HSTS_PRELOAD", default=False)
# both bind other hosts of the domain, which are not ours to bind: the operator decides
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True

# `manage.py collectstatic` fills it while an image is built
STATIC_ROOT = path("STATIC_ROOT", BASE_DIR / "staticfiles")
# names with a hash of their content: cached for ever, and never stale
STORAGES["staticfiles"] = {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}
