"""Errors as HTTP: one shape for all, a stable code each, and nothing told of our faults."""

import errno
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from django.core.exceptions import PermissionDenied, SuspiciousOperation, ValidationError
from django.db import OperationalError
from django.http import Http404
from django.test import Client
from django.urls import path
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.problems import ConflictError, DomainError, NotFoundError, NotPermittedError
from config.problems import bad_request, page_not_found, server_error
from photos.problems import RefusedFileError


class OuterSerializer(serializers.Serializer):
    """A serializer with a list of serializers."""

    class InnerSerializer(serializers.Serializer):
        size = serializers.IntegerField(min_value=1)

    name = serializers.CharField()
    parts = InnerSerializer(many=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        raise serializers.ValidationError("These do not go together.", code="mismatch")


class View(APIView):
    """Raises what the test has put into `error`."""

    authentication_classes = ()
    permission_classes = ()
    error: Exception | None = None

    def get(self, request: Request) -> Response:
        assert self.error is not None
        raise self.error

    def post(self, request: Request) -> Response:
        OuterSerializer(data=request.data).is_valid(raise_exception=True)
        return Response()


def plain(request: object) -> None:
    raise SuspiciousOperation("secret")


urlpatterns = [path("api/v1/fails", View.as_view()), path("api/v1/plain", plain), path("page", View.as_view())]
handler400 = bad_request
handler404 = page_not_found
handler500 = server_error

pytestmark = pytest.mark.urls(__name__)


def answer(client: Client, monkeypatch: pytest.MonkeyPatch, error: Exception, address: str = "/api/v1/fails") -> Any:
    monkeypatch.setattr(View, "error", error)
    client.raise_request_exception = False
    return client.get(address)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RefusedFileError("empty_file", "no"), (400, "empty_file")),
        (RefusedFileError("damaged", "no"), (400, "damaged")),
        (RefusedFileError("too_large", "no"), (413, "too_large")),
        (RefusedFileError("unsupported_format", "no"), (415, "unsupported_format")),
        (RefusedFileError("too_many_pixels", "no"), (422, "too_many_pixels")),
        (NotPermittedError("no"), (403, "permission_denied")),
        (NotFoundError("no"), (404, "not_found")),
        (ConflictError("no"), (409, "conflict")),
        (DomainError("no"), (400, "error")),
        (Http404("no Secret matches"), (404, "not_found")),
        (PermissionDenied("secret"), (403, "permission_denied")),
        (SuspiciousOperation("secret"), (400, "bad_request")),
        (exceptions.NotAcceptable(), (406, "not_acceptable")),
        (exceptions.Throttled(wait=7), (429, "throttled")),
        (exceptions.PermissionDenied(code="special"), (403, "special")),
        (exceptions.APIException(["listed"]), (500, "error")),
    ],
    ids=repr,
)
def test_every_error_has_a_status_and_a_code(
    client: Client, monkeypatch: pytest.MonkeyPatch, error: Exception, expected: tuple[int, str]
) -> None:
    response = answer(client, monkeypatch, error)

    found = response.json()
    assert (response.status_code, found["code"]) == expected
    assert response["Content-Type"] == "application/problem+json"
    assert found["status"] == response.status_code
    assert found["type"] == "about:blank"
    assert found["title"]
    assert found["detail"]
    assert b"ecret" not in response.content


def test_further_members_stand_beside_the_others(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    response = answer(client, monkeypatch, RefusedFileError("too_large", "Too much.", limit=5))

    assert response.json() == {
        "type": "about:blank",
        "title": "Request Entity Too Large",
        "status": 413,
        "detail": "Too much.",
        "code": "too_large",
        "limit": 5,
    }


def test_a_throttled_client_is_told_when_to_come_back(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert answer(client, monkeypatch, exceptions.Throttled(wait=7))["Retry-After"] == "7"


def test_nested_errors_are_named_by_their_path(client: Client) -> None:
    body = {"parts": [{"size": 1}, {"size": 0}, {}]}

    response = client.post("/api/v1/fails", body, content_type="application/json")

    assert response.status_code == 400
    assert response.json()["detail"] == "The request has values that cannot be: name, parts.1.size, parts.2.size."
    assert response.json()["errors"] == [
        {"field": "name", "code": "required", "detail": "This field is required."},
        {
            "field": "parts.1.size",
            "code": "min_value",
            "detail": "Ensure this value is greater than or equal to 1.",
        },
        {"field": "parts.2.size", "code": "required", "detail": "This field is required."},
    ]


def test_errors_of_no_field_in_particular(client: Client) -> None:
    body = {"name": "a", "parts": [{"size": 1}]}

    response = client.post("/api/v1/fails", body, content_type="application/json")

    assert response.json()["detail"] == "The request has values that cannot be."
    assert response.json()["errors"] == [{"field": "", "code": "mismatch", "detail": "These do not go together."}]


def test_errors_of_models_are_named_by_field(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    of_fields = ValidationError({"name": ValidationError("Too %(what)s.", code="long", params={"what": "long"})})
    of_all = ValidationError("Not together.", code="mismatch")

    assert answer(client, monkeypatch, of_fields).json()["errors"] == [
        {"field": "name", "code": "long", "detail": "Too long."}
    ]
    assert answer(client, monkeypatch, of_all).json()["errors"] == [
        {"field": "", "code": "mismatch", "detail": "Not together."}
    ]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OperationalError("secret host is down"), "database_unavailable"),
        (EndpointConnectionError(endpoint_url="http://secret"), "storage_unavailable"),
        (OSError(errno.EIO, "secret disk"), "storage_unavailable"),
    ],
    ids=repr,
)
def test_trouble_of_a_service_is_worth_another_try(
    client: Client, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    response = answer(client, monkeypatch, error)

    assert (response.status_code, response.json()["code"]) == (503, code)
    assert response["Content-Type"] == "application/problem+json"
    assert response["Retry-After"] == "10"
    assert b"secret" not in response.content


def test_a_fault_of_ours_tells_nothing(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    response = answer(client, monkeypatch, RuntimeError("secret"))

    assert (response.status_code, response.json()["code"]) == (500, "server_error")
    assert response["Content-Type"] == "application/problem+json"
    assert b"secret" not in response.content
    assert "RuntimeError: secret" in caplog.text


def test_pages_are_for_people(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    response = answer(client, monkeypatch, RuntimeError("secret"), "/page")

    assert response.status_code == 500
    assert response["Content-Type"].startswith("text/html")
    assert client.get("/nowhere")["Content-Type"].startswith("text/html")


def test_what_no_view_has_seen_is_a_problem_too(client: Client) -> None:
    client.raise_request_exception = False

    missing = client.get("/api/v1/nowhere")
    refused = client.get("/api/v1/plain")

    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_request")
    assert missing["Content-Type"] == refused["Content-Type"] == "application/problem+json"
    assert b"secret" not in refused.content
