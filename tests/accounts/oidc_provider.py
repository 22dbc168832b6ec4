"""An OpenID Connect provider in a process of its own: oidc_provider_mock, with the one check that it leaves out, that
of the proof of a code (PKCE, RFC 7636). Prints its address when it listens.
"""

import base64
import hashlib
import io
import os
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

import oidc_provider_mock
from werkzeug.serving import make_server

REFUSAL = b'{"error": "invalid_grant", "error_description": "the code is not proven"}'


class Proven:
    """Gives codes to who brings a challenge, and tokens to who proves it."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app
        self.challenges: dict[str, str] = {}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        query = parse_qs(environ["QUERY_STRING"])
        if environ["PATH_INFO"] == "/oauth2/authorize":
            if query.get("code_challenge_method") != ["S256"]:
                start_response("400 Bad Request", [("Content-Type", "application/json")])
                return [REFUSAL]
            return self.app(environ, self.remembering(query["code_challenge"][0], start_response))
        if environ["PATH_INFO"] == "/oauth2/token" and not self.is_proven(environ):
            start_response("400 Bad Request", [("Content-Type", "application/json")])
            return [REFUSAL]
        return self.app(environ, start_response)

    def remembering(self, challenge: str, start_response: Callable[..., Any]) -> Callable[..., Any]:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            for code in parse_qs(urlsplit(dict(headers).get("Location", "")).query).get("code", []):
                self.challenges[code] = challenge
            return start_response(status, headers, *rest)

        return start

    def is_proven(self, environ: dict[str, Any]) -> bool:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        given = parse_qs(body.decode())
        digest = hashlib.sha256(given.get("code_verifier", [""])[0].encode()).digest()
        proof = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        return self.challenges.get(given.get("code", [""])[0], proof) == proof


if __name__ == "__main__":
    server = make_server("127.0.0.1", 0, Proven(oidc_provider_mock.app()), threaded=True)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)  # noqa: T201 - this is how it is found
    server.serve_forever()
