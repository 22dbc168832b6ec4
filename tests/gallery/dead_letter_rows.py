"""Dead letters, and what a browser is shown of them, for the tests of their pages."""

from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import factories
from django.contrib.auth.models import Permission
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts.models import Library, User
from gallery.admin import dead_letters as page_module
from processing.ledger import RunError
from processing.models import LibraryRun, RunState, StageRun

PAGE = "/admin/dead_letters/"
RUNS = "/admin/processing/stagerun/"
LIBRARY_RUNS = "/admin/processing/libraryrun/"
SUBMITTED = {"_form_submitted": "True"}
REASON = "a scan of 1 GB that nobody needs"
DAMAGED = RunError(
    code="damaged",
    detail="broken data stream",
    exception="DamagedImageError",
    frame="processing/engines/imaging/decoding.py:decode",
    traceback='Traceback:\n  File "decoding.py"\nDamagedImageError: broken <stream>\n',
)
TIMED_OUT = RunError(code="timed_out", detail="It took too long.")


def dead(library: Library, stage: str = "renditions", error: RunError = DAMAGED, **values: Any) -> StageRun:
    """Make a dead run of a photo of its own."""
    photo = values.pop("photo", None) or factories.make_photo(library)
    return factories.make_run(photo, stage, RunState.DEAD, **{**error.columns(stage), "attempt": 3, **values})


def dead_library_run(
    library: Library, error: RunError = TIMED_OUT, *, kind: str = "people", **values: Any
) -> LibraryRun:
    ended = {"finished_at": timezone.now(), "version": "1", **error.columns(kind)}
    return LibraryRun.objects.create(library=library, kind=kind, state=RunState.DEAD, **{**ended, **values})


def rows(client: Client, **parameters: object) -> list[page_module.GroupRow]:
    response = client.get(f"{PAGE}?{urlencode(parameters)}")
    assert response.status_code == HTTPStatus.OK
    return response.context["rows"]


def content(client: Client, url: str = PAGE) -> str:
    """Give the page as a person reads it: with single spaces."""
    return " ".join(client.get(url).content.decode().split())


def messages(client: Client) -> list[str]:
    return [str(message) for message in client.get(PAGE).context["messages"]]


def state_of(run: StageRun | LibraryRun) -> str:
    run.refresh_from_db()
    return run.state


def body(response: HttpResponse) -> str:
    return b"".join(response.streaming_content).decode()


def staff(library: Library, role: str, *permissions: str) -> User:
    user = factories.make_member(library, role)
    user.is_staff = True
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user
