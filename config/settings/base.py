"""What local, test and production share. Each of them adds its secrets and says who may connect."""

from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from redis.backoff import NoBackoff
from redis.retry import Retry

from config import embedded
from config.settings.admin import *
from config.settings.api import *
from config.settings.cors import *
from config.settings.darkroom import *
from config.settings.environment import BASE_DIR, VAR_DIR, env
from config.settings.events import *
from config.settings.identity import *
from config.settings.lockout import *
from config.settings.logs import *
from config.settings.mail import *
from config.settings.queue import *
from config.settings.security import *
from config.settings.storage import *

DEBUG = False

INSTALLED_APPS = [
    # its templates replace the admin's, so it comes first
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
    "corsheaders",
    "axes",
    *IDENTITY_APPS,
    "django_prometheus",
    "accounts",
    "photos",
    "processing",
    "gallery",
    "config",
]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "config.content_security.ContentSecurityPolicyMiddleware",
    # before whatever answers by itself: a page of others may read its refusals too
    "corsheaders.middleware.CorsMiddleware",
    # before whatever reads or writes a body
    "config.compression.CompressionMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.origin.OriginMiddleware",
    "config.rate_limits.RateLimitMiddleware",
    # allauth remembers the request in it
    "allauth.account.middleware.AccountMiddleware",
    "accounts.second_factor_gate.SecondFactorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
    # last: it runs the admin's views itself
    "accounts.admin_audit.AdminAuditMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

# PostgreSQL and Redis, embedded ones where no address is given:

DATABASE_URL = env.str("DATABASE_URL", default="")
REDIS_URL = env.str("REDIS_URL", default="")
EMBEDDED_SERVICES = [
    name for name, given in ((embedded.POSTGRES, DATABASE_URL), (embedded.REDIS, REDIS_URL)) if not given
]
if EMBEDDED_SERVICES and (_running := embedded.running(VAR_DIR)):
    DATABASE_URL = DATABASE_URL or _running.database_url or ""
    REDIS_URL = REDIS_URL or _running.redis_url or ""

# what cannot work now, in one line each; commands that need neither (check, makemigrations) go on
MISSING_SERVICES = [
    f"No {service} is running: start one with `make run`, or set {variable}"
    for service, variable, address in (
        ("database", "DATABASE_URL", DATABASE_URL),
        ("Redis", "REDIS_URL", REDIS_URL),
    )
    if not address
]

_database = env.db_url_config(DATABASE_URL, engine="django_prometheus.db.backends.postgresql")

DATABASES: dict[str, Any] = {
    "default": {
        # counts and times queries for /metrics
        **_database,
        # a host that is gone is an error after seconds, not after the minutes that TCP goes on trying
        "OPTIONS": {"connect_timeout": 5, **_database.get("OPTIONS", {})},
        # threads of the web server keep theirs; one that the server has closed meanwhile is noticed
        "CONN_MAX_AGE": env.int("DATABASE_CONN_MAX_AGE", default=60),
        "CONN_HEALTH_CHECKS": True,
    }
    if DATABASE_URL
    else {"ENGINE": "config.missing_database"},
}


def _redis_database(number: int) -> str:
    """Give REDIS_URL with another database number; nobody listens on port 1."""
    address = urlsplit(REDIS_URL or "redis://127.0.0.1:1/0")
    return urlunsplit((address.scheme, address.netloc, f"/{number}", address.query, ""))


CELERY_BROKER_URL = REDIS_URL or _redis_database(0)

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        # not the broker's database: `cache.clear()` empties all of it
        "LOCATION": env.str("CACHE_URL", default="") or _redis_database(1),
        # tried once: redis-py would otherwise try for several seconds, in the way of a request
        "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1, "retry": Retry(NoBackoff(), 0)},
    },
}

# who logs in:

AUTH_USER_MODEL = "accounts.User"

AUTHENTICATION_BACKENDS = [
    # first: who is locked out is refused before any password is looked at
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    # reads passwords of an imported installation, and writes them anew at the next login
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

# a token that sets a new password, sent by mail; seconds
PASSWORD_RESET_TIMEOUT = 3600
# an invitation into a library
INVITATION_DAYS = env.int("INVITATION_DAYS", default=7)

# proxies that are believed when they say whose request it is (X-Forwarded-For): addresses or networks, with commas. Not
# named, every client has the address of the proxy; a network too wide, and each gives itself the address that it likes
TRUSTED_PROXIES = [ip_network(network) for network in env.list("TRUSTED_PROXIES", default=[])]

# language and time:

LANGUAGE_CODE = "en"
USE_I18N = True
TIME_ZONE = "UTC"
USE_TZ = True

# files:

STATIC_URL = "static/"
# photos are private: readable by our own user alone
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700
# where a large upload waits until it has been hashed; None: the system's folder
FILE_UPLOAD_TEMP_DIR = env.str("UPLOAD_TEMP_DIR", default="") or None
# all of a request but its files: an upload's fields are few and short
DATA_UPLOAD_MAX_MEMORY_SIZE = 1 * MIB
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000  # the admin posts a field per row that it lists
DATA_UPLOAD_MAX_NUMBER_FILES = 100
