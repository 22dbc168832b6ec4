"""The server as the command asks it: by operations of the generated client, with patience and with clear refusals."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import httpx
from darkroom_client import AuthenticatedClient, Client

from darkroom_cli.patience import Patience
from darkroom_cli.problems import DarkroomError, NotDarkroomError, ProblemError, UnreachableError, problem_of

# an answer to the last bytes of a large file comes when it has been read once more
TIMEOUT = httpx.Timeout(connect=10, read=120, write=60, pool=None)
# `Authorization` is kept from the host of a redirect, as to a bucket; a header of our own would not be
KEY_PREFIX = "Api-Key"

_T = TypeVar("_T")
_Found = tuple[Any, httpx.Headers]


class Connection:
    """One Darkroom, asked with one key. May be used by several threads."""

    def __init__(self, url: str, key: str, *, patience_seconds: float, prefix: str = KEY_PREFIX) -> None:
        self.url = url
        self.stopping = threading.Event()
        self._patience_seconds = patience_seconds
        ways: dict[str, Any] = {
            "base_url": url,
            "timeout": TIMEOUT,
            "httpx_args": {
                "event_hooks": {"response": [_refuse]},
                "limits": httpx.Limits(max_connections=None, max_keepalive_connections=32),
            },
        }
        # nobody in particular has no key
        self.client = AuthenticatedClient(token=key, prefix=prefix, **ways) if key else Client(**ways)
        # made here, and not by each of the threads that come first
        self.client.get_httpx_client()

    def patience(self) -> Patience:
        """Give the patience for one thing."""
        return Patience(self._patience_seconds, self.stopping)

    def stop(self) -> None:
        """End pauses and transfers of every thread."""
        self.stopping.set()

    def ask(self, operation: ModuleType, *args: Any, **parameters: Any) -> _Found:
        """Do an operation that may be done twice, as often as it takes; gives what was parsed, and the headers."""
        return self.patiently(lambda: self.ask_once(operation, *args, **parameters))

    def patiently(self, act: Callable[[], _T]) -> _T:
        """Do something that may be done twice, as often as it takes."""
        patience = self.patience()
        while True:
            try:
                return act()
            except DarkroomError as error:
                if not is_passing(error):
                    raise
                patience.pause(error)

    def ask_once(self, operation: ModuleType, *args: Any, **parameters: Any) -> _Found:
        """Do an operation of the generated client. Raises ProblemError, UnreachableError, NotDarkroomError."""
        with self.speaking():
            try:
                answer = operation.sync_detailed(*args, client=self.client, **parameters)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise NotDarkroomError(f"{self.url} answers, but not as a Darkroom does: is it right?") from error
        if 300 <= answer.status_code < 400:
            place = answer.headers.get("Location", "elsewhere")
            raise NotDarkroomError(f"{self.url} sends to {printable_origin(place)}: name that address instead")
        return answer.parsed, answer.headers

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Say of a connection that could not be made, or broke, that nobody answers."""
        try:
            yield
        except httpx.InvalidURL as error:
            raise NotDarkroomError(f"{self.url} is no address") from error
        except httpx.TransportError as error:
            raise UnreachableError(f"{self.url} does not answer: {str(error) or type(error).__name__}") from error

    def pages(self, operation: ModuleType, *, at_most: int | None = None, **parameters: Any) -> Iterator[Any]:
        """Give what a list has, page by page; `at_most` so many."""
        given, cursor = 0, {}
        while True:
            page, _headers = self.ask(operation, **parameters, **cursor)
            for one in page.results:
                if given == at_most:
                    return
                given += 1
                yield one
            # only the place is taken from the address: whom the key is shown is not for an answer to say
            following = httpx.URL(page.next_).params.get("cursor") if page.next_ else None
            if following is None or given == at_most:
                return
            cursor = {"cursor": following}


def is_passing(error: DarkroomError) -> bool:
    """Whether the same may go well in a moment."""
    return isinstance(error, UnreachableError) or (isinstance(error, ProblemError) and error.is_passing)


def printable_origin(address: str) -> str:
    """Give the beginning of an address that a server named."""
    parts = urlsplit(address)
    return ascii(f"{parts.scheme}://{parts.netloc}" if parts.netloc else address)[1:-1]


def as_id(value: str) -> UUID | None:
    """Read an id; None where it is none."""
    try:
        return UUID(value)
    except ValueError:
        return None


def _refuse(response: httpx.Response) -> None:
    """Raise what a refusal says, before the generated client looks at it: it knows the documented ones alone."""
    if response.status_code >= 400:
        response.read()
        raise problem_of(response)
