"""Getting a key: pasted, or made for whoever logs in with a password; and trying it."""

import socket
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from darkroom_client.api.auth import auth_token, auth_token_revoke
from darkroom_client.api.keys import keys_create
from darkroom_client.api.libraries import libraries_list
from darkroom_client.models import ApiKeyInputRequest, CredentialsRequest, PermissionName, RefreshRequest

from darkroom_cli.connection import Connection
from darkroom_cli.problems import DarkroomError, ProblemError

# what the command does, and no more: its owner may do none of it without the permission either
SCOPES = (
    PermissionName.PHOTOS_VIEW,
    PermissionName.ORIGINALS_DOWNLOAD,
    PermissionName.PHOTOS_UPLOAD,
    PermissionName.PHOTOS_EDIT,
    PermissionName.PEOPLE_VIEW,
)
# somebody sits there and waits
PATIENCE_SECONDS = 10
PAGE_SIZE = 200


def _secret(name: str) -> str:
    # without a terminal a prompt would warn that it cannot hide what is typed
    return click.prompt(name, hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()


def given_key() -> str:
    """Ask for a key, or read it of standard input."""
    key = _secret("Key").strip()
    if not key or not key.isascii() or not key.isprintable():
        raise click.UsageError("There is no key.")
    return key


def made_key(url: str, email: str, *, days: int, patience_seconds: float) -> str:
    """Log in, have a key made that is good for so many days, and log out. Raises ProblemError."""
    password = _secret("Password").removesuffix("\n")
    if not password:
        raise click.UsageError("There is no password.")
    public = Connection(url, "", patience_seconds=patience_seconds)
    try:
        tokens = _tokens(public, email, password)
    except ProblemError as error:
        if error.code != "second_factor_required":
            raise
        tokens = _tokens(public, email, password, code=click.prompt("Code of the second factor"))
    person = Connection(url, tokens.access, patience_seconds=patience_seconds, prefix="Bearer")
    wanted = ApiKeyInputRequest(
        name=f"darkroom on {socket.gethostname()}"[:100],
        scopes=list(SCOPES),
        expires_at=datetime.now(UTC) + timedelta(days=days),
    )
    try:
        made, _ = person.ask_once(keys_create, body=wanted)
    finally:
        # it ends by itself, too
        with suppress(DarkroomError):
            person.ask_once(auth_token_revoke, body=RefreshRequest(refresh=tokens.refresh))
    return made.key


def check(url: str, key: str, *, patience_seconds: float) -> list[Any]:
    """Give the libraries that a key shows. Raises what is wrong with the address or the key."""
    connection = Connection(url, key, patience_seconds=patience_seconds)
    return list(connection.pages(libraries_list, page_size=PAGE_SIZE))


def _tokens(connection: Connection, email: str, password: str, **code: str) -> Any:
    tokens, _ = connection.ask_once(auth_token, body=CredentialsRequest(email=email, password=password, **code))
    return tokens
