"""What people are shown in place of a page, and the line that the log has of it."""

import logging
from collections.abc import Iterator
from http import HTTPStatus
from io import StringIO

import factories
import pytest
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from django.utils import translation

from config.logging import logging_config
from config.problems import bad_request, page_not_found, permission_denied, server_error

ERRORS = {
    "denied": PermissionDenied("a permission"),
    "odd": SuspiciousOperation("a\nb"),
    "bad": BadRequest("no id"),
    "fault": RuntimeError("a fault"),
}


def fail(request: HttpRequest, what: str) -> HttpResponse:
    raise ERRORS[what]


urlpatterns = [path("fails/<what>", fail), path("api/fails/<what>", fail)]
handler400, handler403, handler404, handler500 = bad_request, permission_denied, page_not_found, server_error

ours = pytest.mark.urls(__name__)


@pytest.fixture
def written() -> Iterator[StringIO]:
    """What the web server's log has of requests, as it is set up for people."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    configured = logging_config(level="INFO", form="line")
    handler.setFormatter(configured["formatters"]["line"]["()"]())
    for name in configured["handlers"]["console"]["filters"]:
        handler.addFilter(configured["filters"][name]["()"]())
    loggers = [logging.getLogger(name) for name in ("django.request", "django.security")]
    for logger in loggers:
        logger.addHandler(handler)
    yield stream
    for logger in loggers:
        logger.removeHandler(handler)


@ours
@pytest.mark.parametrize(
    ("address", "status", "heading"),
    [
        ("/fails/denied", 403, "You may not do this"),
        ("/fails/odd", 400, "This cannot be"),
        ("/fails/fault", 500, "Something went wrong here"),
        ("/nothing", 404, "There is nothing here"),
    ],
)
def test_people_are_told_on_a_page_with_a_way_back(client: Client, address: str, status: int, heading: str) -> None:
    """No test of this asks the database: it may be what is in trouble."""
    client.raise_request_exception = False
    response = client.get(address)
    page = response.content.decode()
    assert (response.status_code, response["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert f"<h1>{heading}</h1>" in page
    assert '<a href="/">' in page
    assert "a permission" not in page
    assert "a fault" not in page
    programs = client.get(f"/api{address}")
    assert (programs.status_code, programs["Content-Type"]) == (status, "application/problem+json")


def test_a_form_that_was_open_for_too_long_is_told_apart() -> None:
    client = Client(enforce_csrf_checks=True)
    response = client.post("/admin/login/", {"username": "ada@example.org"})
    assert response.status_code == HTTPStatus.FORBIDDEN
    assert "<h1>The page was open for too long</h1>" in response.content.decode()


def test_such_a_page_is_in_the_language_of_the_installation(client: Client) -> None:
    with translation.override("de"):
        assert '<html lang="de">' in client.get("/nothing").content.decode()


@ours
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("denied", "WARNING django.request: GET /fails/denied was refused to user -: PermissionDenied a permission\n"),
        ("bad", "WARNING django.request: GET /fails/bad was refused to user -: BadRequest no id\n"),
        (
            "odd",
            (
                "ERROR django.security.SuspiciousOperation: GET /fails/odd was refused to user -: "
                "SuspiciousOperation a\\nb\n"
            ),
        ),
    ],
)
def test_what_is_refused_is_a_line_of_the_log(client: Client, written: StringIO, what: str, said: str) -> None:
    client.get(f"/fails/{what}?secret=1")
    assert written.getvalue().partition(" ")[2].partition(" ")[2] == said


@ours
def test_a_fault_keeps_its_traceback(client: Client, written: StringIO) -> None:
    client.raise_request_exception = False
    client.get("/fails/fault")
    assert "Traceback" in written.getvalue()
    assert written.getvalue().endswith("RuntimeError: a fault\n")


@pytest.mark.django_db
def test_the_line_names_whose_request_it_was(client: Client, written: StringIO) -> None:
    user = factories.make_user(is_staff=True)
    client.force_login(user)
    assert client.get("/admin/accounts/user/?q=ada").status_code == HTTPStatus.FORBIDDEN
    line = f" WARNING django.request: GET /admin/accounts/user/ was refused to user {user.pk}: PermissionDenied\n"
    assert written.getvalue().endswith(line)
    assert written.getvalue().count("\n") == 1
