"""The tests: PostgreSQL and Redis of their own where none are given, and a VAR_DIR that is deleted with them."""

import os

from config import embedded
from config.embedded import scratch

# in the environment, so that processes which the tests start use the same services and folders
if "DARKROOM_TEST_DIR" not in os.environ:
    _folder = scratch.make_folder()
    _missing = [name for name in ("DATABASE_URL", "REDIS_URL") if not os.environ.get(name)]
    _engines = {"DATABASE_URL": embedded.POSTGRES, "REDIS_URL": embedded.REDIS}
    _services = embedded.start(_folder, only=[_engines[name] for name in _missing])
    os.environ |= {name: getattr(_services, name.lower()) for name in _missing}
    os.environ |= {"DARKROOM_TEST_DIR": str(_folder), "VAR_DIR": str(_folder), "DARKROOM_ENV_FILE": ""}

from config.settings.base import *

SECRET_KEY = "a key of the tests, which sign nothing that outlives them"  # noqa: S105 - it protects nothing
SIMPLE_JWT["SIGNING_KEY"] = "another key of the tests, apart from the first one"
INTERNAL_TOKEN = "the tests' token for metrics and health"  # noqa: S105 - it protects nothing
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]

# nets converted for the CPU depend on the installed packages alone and take half a minute: kept between sessions
MODELS_DIR = path("DARKROOM_TEST_MODELS_DIR", BASE_DIR / "var" / "test-models")

# where the web server says that the stream of events is; those that listen start a process of their own
EVENTS_PORT = 8001

# all tests come from one address; those of limits set them for themselves
REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"] = dict.fromkeys(REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"])
PASSWORD_RESET_MAILS = None

# a good hash is slow by design, and every test makes users
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# looks a static file up when it is asked for: the list of all of them is not made again for each test client
WHITENOISE_AUTOREFRESH = True
