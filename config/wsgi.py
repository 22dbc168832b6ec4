"""The WSGI application: what a web server is pointed at."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")

application = get_wsgi_application()

from processing import publish  # noqa: E402 - its models need Django's apps

publish.wait_at_most(settings.REQUEST_BROKER_SECONDS)
