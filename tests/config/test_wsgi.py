"""What the web server calls."""

import io
from typing import Any

import pytest

from config.wsgi import application


def ask(content_type: str, *, path: str = "/live", query: str = "x=%C3%A9") -> str:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": content_type,
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": "http",
    }
    answered: list[str] = []
    body = application(environ, lambda status, *_: answered.append(status))
    getattr(body, "close", lambda: None)()
    return answered[0]


@pytest.mark.parametrize("charset", ["zlib", "hex", "rot13", "base64", "idna", "punycode", "undefined", "x\0y", "none"])
def test_a_charset_that_is_none_is_no_error_of_ours(charset: str) -> None:
    assert ask(f"text/plain; charset={charset}") == "200 OK"


@pytest.mark.parametrize("content_type", ["", "text/plain", "text/plain; charset=utf-8", "text/plain; charset=latin-1"])
def test_charsets_of_the_web_are_read(content_type: str) -> None:
    assert ask(content_type) == "200 OK"
