"""Where what is being done comes from, for the audit trail: services are told who acts, and this is the rest."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

from accounts.client_address import client_address

_address: ContextVar[str | None] = ContextVar("origin_address", default=None)
_command: ContextVar[str] = ContextVar("origin_command", default="")


def address() -> str | None:
    """Give the IP address of the request that is being answered; None outside of one."""
    return _address.get()


@contextmanager
def coming_from(where: str | None) -> Iterator[None]:
    """Let everything inside the block come from an address."""
    before = _address.set(where)
    try:
        yield
    finally:
        _address.reset(before)


def command() -> str:
    """Give the name of the management command that is at work; nothing where none is."""
    return _command.get()


@contextmanager
def commanded_by(name: str) -> Iterator[None]:
    """Let everything inside the block be the work of a management command. Threads that it starts are not in it."""
    before = _command.set(name)
    try:
        yield
    finally:
        _command.reset(before)


class OriginMiddleware:
    """Remembers the address of the request while it is answered."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request."""
        with coming_from(client_address(request)):
            return self.get_response(request)
