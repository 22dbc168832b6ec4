from email.message import Message

import pytest
from django.test import RequestFactory
from pytest_django import Settings

from accounts.internal_token import carries_internal_token

TOKEN = "correct horse battery staple"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("Authorization", f"Bearer {TOKEN}", True),
        ("Authorization", f"bearer  {TOKEN}", True),
        ("X-Internal-Token", TOKEN, True),
        ("Authorization", f"Basic {TOKEN}", False),
        ("Authorization", TOKEN, False),
        ("Authorization", "Bearer", False),
        ("Authorization", f"Bearer {TOKEN}x", False),
        ("X-Internal-Token", TOKEN[:-1], False),
        ("X-Internal-Token", "пароль", False),
        ("X-Other", TOKEN, False),
    ],
)
def test_the_token_opens_only_as_it_is(settings: Settings, name: str, value: str, expected: bool) -> None:
    settings.INTERNAL_TOKEN = TOKEN
    request = RequestFactory().get("/", headers={name: value})
    assert carries_internal_token(request.headers) is expected


def test_headers_of_the_workers_server_are_read_too(settings: Settings) -> None:
    settings.INTERNAL_TOKEN = TOKEN
    headers = Message()
    headers["x-internal-token"] = TOKEN
    assert carries_internal_token(headers) is True


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer "}, {"X-Internal-Token": ""}])
def test_without_a_token_nobody_has_it(settings: Settings, headers: dict[str, str]) -> None:
    settings.INTERNAL_TOKEN = ""
    assert carries_internal_token(RequestFactory().get("/", headers=headers).headers) is False
