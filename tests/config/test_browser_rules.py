"""What browsers are told about every answer."""

import re

import pytest
from django.test import Client

STRICT = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
OF_ADMIN = STRICT | {"script-src": "'self' 'unsafe-eval'", "style-src": "'self' 'unsafe-inline'"}
OF_DOCS = STRICT | {"style-src": "'self' 'unsafe-inline'"}


def policy(response: object) -> dict[str, str]:
    directives = (part.strip().partition(" ") for part in response["Content-Security-Policy"].split(";"))  # type: ignore[index]
    return {name: sources for name, _, sources in directives if name}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "status", "expected"),
    [
        ("/api/v1/photos", 401, STRICT),
        ("/api/v1/nothing", 404, STRICT),
        ("/live", 200, STRICT),
        ("/nothing", 404, STRICT),
        ("/admin/login/", 200, OF_ADMIN),
        ("/admin/", 302, OF_ADMIN),
        ("/api/docs", 200, OF_DOCS),
        ("/api/docs?script=", 200, OF_DOCS),
    ],
)
def test_every_answer_has_its_policy(client: Client, address: str, status: int, expected: dict[str, str]) -> None:
    response = client.get(address)
    assert response.status_code == status
    assert policy(response) == expected
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/admin/", "/admin/photos/photo/", "/admin/accounts/user/add/", "/api/docs"])
def test_no_page_has_scripts_of_its_own(admin_client: Client, address: str) -> None:
    """The policy would stop them: each comes from a file of ours."""
    page = admin_client.get(address).content.decode()
    scripts = re.findall(r"<script\b([^>]*)>", page)
    assert scripts
    assert [one for one in scripts if "src=" not in one and "application/json" not in one] == []
    assert re.findall(r"\son(?:click|load|error|submit|change)=", page) == []
