"""What can go wrong, each as one sentence for a person and a code for a program."""

from typing import Any

import httpx

# statuses with which the command ends, beside 0, click's 2 for a wrong command line, and 130 for Ctrl-C
SOME_REFUSED, STOPPED_BY_SERVER = 1, 3

MEDIA_TYPE = "application/problem+json"
# passing states of a server, or of what stands in front of it
PASSING_STATUSES = frozenset({429, 500, 502, 503, 504})
PASSING_CODES = frozenset({"upload_locked", "idempotency_key_in_use"})


class DarkroomError(Exception):
    """Something went wrong. `code` is stable, the text is for a person."""

    code = "error"
    exit_status = STOPPED_BY_SERVER

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail)
        self.code = code or self.code
        self.detail = detail

    @property
    def sentence(self) -> str:
        """What is told, with the code at its end."""
        return f"{self.detail.rstrip().rstrip('.')} ({self.code})."


class RefusedFileError(DarkroomError):
    """A file of this side that cannot be sent or written; others can."""

    exit_status = SOME_REFUSED


class UnreachableError(DarkroomError):
    """Nobody answered, for as long as was to be waited."""

    code = "unreachable"


class StoppedError(DarkroomError):
    """Somebody wants to stop."""

    code = "stopped"


class NotDarkroomError(DarkroomError):
    """Something else answered."""

    code = "not_darkroom"


class ProblemError(DarkroomError):
    """The server refused: `status` of HTTP, `members` of the problem, `retry_after` in seconds where it says when."""

    def __init__(self, *, status: int, members: dict[str, Any], retry_after: float | None) -> None:
        self.status, self.members, self.retry_after = status, members, retry_after
        detail = str(members.get("detail") or members.get("title") or f"The server answered {status}")
        named = [f"{one.get('field')}: {one.get('detail')}" for one in members.get("errors") or ()]
        super().__init__("; ".join(named) if named else detail, code=str(members.get("code") or f"http_{status}"))

    @property
    def is_passing(self) -> bool:
        """Whether the same may go well in a moment."""
        return self.status in PASSING_STATUSES or self.code in PASSING_CODES

    @property
    def is_of_everything(self) -> bool:
        """Whether it would be the answer to every other file as well: key, permission, library."""
        return self.status in {401, 403, 404}


def problem_of(response: httpx.Response) -> DarkroomError:
    """Read a refusal, also one that no Darkroom wrote."""
    media_type = response.headers.get("Content-Type", "").split(";")[0].strip()
    if media_type != MEDIA_TYPE and response.status_code not in PASSING_STATUSES:
        address = str(response.request.url).partition("/api/v1/")[0]
        return NotDarkroomError(f"{address} answers {response.status_code}, and not as a Darkroom does: is it right?")
    members: Any = {}
    if media_type == MEDIA_TYPE:
        try:
            members = response.json()
        except ValueError:
            members = {}
    return ProblemError(
        status=response.status_code,
        members=members if isinstance(members, dict) else {},
        retry_after=_seconds(response.headers.get("Retry-After", "")),
    )


def _seconds(value: str) -> float | None:
    return float(value) if value.isascii() and value.isdecimal() else None
