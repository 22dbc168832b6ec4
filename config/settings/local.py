"""`make run` and `manage.py` on one's own machine: production's engines and checks, without its certificates."""

from config import local_secrets
from config.settings.base import *
from config.settings.running import *

_secrets = local_secrets.read_or_make(VAR_DIR)

SECRET_KEY = env.str("SECRET_KEY", default=_secrets["SECRET_KEY"])
SIMPLE_JWT["SIGNING_KEY"] = env.str("JWT_SIGNING_KEY", default=_secrets["JWT_SIGNING_KEY"])
# programs that may read /metrics and the detail of /health send it as a bearer token
INTERNAL_TOKEN = env.str("INTERNAL_TOKEN", default=_secrets["INTERNAL_TOKEN"])

ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", *env.list("ALLOWED_HOSTS", default=[])]
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# served from where the packages keep them: nothing is collected before the first start
WHITENOISE_USE_FINDERS = True
