"""The WSGI application: what a web server is pointed at."""

import codecs
import os
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.utils.http import parse_header_parameters

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")

# as the codecs module names them
CHARSETS = frozenset({"utf-8", "ascii", "iso8859-1"})

django_application = get_wsgi_application()

from processing import publish  # noqa: E402 - its models need Django's apps

publish.wait_at_most(settings.REQUEST_BROKER_SECONDS)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a request. One in a charset that is none of the web's is read as UTF-8.

    Django decodes the query in any codec of Python's that a client names, before any of its handlers: some are no
    charsets (zlib), or raise what nobody catches.
    """
    media_type, parameters = parse_header_parameters(environ.get("CONTENT_TYPE", ""))
    if "charset" in parameters and not _is_known(parameters["charset"]):
        environ["CONTENT_TYPE"] = media_type
    return django_application(environ, start_response)


def _is_known(charset: str) -> bool:
    try:
        return codecs.lookup(charset).name in CHARSETS
    except (LookupError, ValueError):  # unknown; with NUL
        return False
