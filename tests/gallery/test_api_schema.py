"""The API's documentation: whole, without warnings, and served from here."""

import re
from io import StringIO

import pytest
import yaml
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import Client

from accounts.api.problems import MEDIA_TYPE

# what is made names other things in its body
NAMING_OTHERS = {
    "post /api/v1/albums",
    "post /api/v1/tags",
    "post /api/v1/edits",
    "post /api/v1/edits/favourites",
    "post /api/v1/exports",
    "get /api/v1/exports/files/{token}",
    "post /api/v1/imports",
    "post /api/v1/keys",
    "post /api/v1/photos",
    "post /api/v1/photos/duplicates/decisions",
    "post /api/v1/search/face",
    "post /api/v1/shares",
    "post /api/v1/uploads",
    "post /api/v1/uploads/direct",
}


def test_the_schema_is_valid_and_without_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=StringIO())

    assert capsys.readouterr().err == ""


@pytest.fixture
def schema(client: Client) -> dict:
    response = client.get("/api/schema")
    assert response.status_code == 200
    return yaml.safe_load(response.content)


def test_every_operation_says_what_it_is_and_how_it_fails(schema: dict) -> None:
    operations = {
        f"{method} {path}": operation
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
        if "health" not in path
    }

    assert len(operations) == 144
    for name, operation in operations.items():
        assert operation["summary"], name
        assert len(operation["tags"]) == 1, name
        answers = operation["responses"]
        problems = {status for status in answers if MEDIA_TYPE in answers[status].get("content", {})}
        assert {"401", "429"} <= problems, name
        assert problems == {status for status in answers if status >= "400"}, name
        names_one = any(one in name for one in ("{id}", "{name}", "{library_id}"))
        assert ("404" in problems) == (names_one or name in NAMING_OTHERS), name


def test_every_parameter_is_described(schema: dict) -> None:
    silent = [
        f"{method} {path}: {one['name']}"
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
        for one in operation.get("parameters", ())
        # what a path names is said by the operation
        if one["in"] != "path" and not one.get("description")
    ]

    assert silent == []


def test_every_way_of_logging_in_is_described(schema: dict) -> None:
    schemes = schema["components"]["securitySchemes"]

    assert schemes["jwtAuth"] == {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    assert schemes["cookieAuth"] == {"type": "apiKey", "in": "cookie", "name": "sessionid"}
    assert {name: schemes["apiKeyAuth"][name] for name in ("type", "in", "name")} == {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
    }
    all_three = [{"apiKeyAuth": []}, {"jwtAuth": []}, {"cookieAuth": []}]
    assert schema["paths"]["/api/v1/photos"]["get"]["security"] == all_three
    assert "security" not in schema["paths"]["/api/v1/auth/token"]["post"]
    # what people do in person no key opens; and what is public may be done as somebody
    in_person = [{"jwtAuth": []}, {"cookieAuth": []}]
    assert schema["paths"]["/api/v1/keys"]["post"]["security"] == in_person
    assert schema["paths"]["/api/v1/auth/invitations/accept"]["post"]["security"] == [{}, *in_person]


def test_an_upload_is_described_as_a_form(schema: dict) -> None:
    body = schema["paths"]["/api/v1/photos"]["post"]["requestBody"]["content"]

    assert list(body) == ["multipart/form-data"]
    upload = schema["components"]["schemas"]["UploadRequest"]
    assert upload["properties"]["file"] == {"type": "string", "format": "binary"}
    assert sorted(upload["required"]) == ["file", "library"]


def test_a_resumable_upload_is_described_by_its_headers(schema: dict) -> None:
    paths = schema["paths"]
    asked = {
        name: {
            one["name"]: one.get("required", False)
            for one in paths[address][name]["parameters"]
            if one["in"] == "header"
        }
        for name, address in (("post", "/api/v1/uploads"), ("patch", "/api/v1/uploads/{id}"))
    }
    assert asked == {
        "post": {
            "Tus-Resumable": True,
            "Upload-Length": True,
            "Upload-Metadata": True,
            "Upload-Checksum": False,
            "Idempotency-Key": False,
        },
        "patch": {"Tus-Resumable": True, "Upload-Offset": True, "Upload-Checksum": False},
    }
    for name, address, status in (("post", "/api/v1/uploads", "201"), ("patch", "/api/v1/uploads/{id}", "204")):
        assert list(paths[address][name]["requestBody"]["content"]) == ["application/offset+octet-stream"]
        said = set(paths[address][name]["responses"][status]["headers"])
        assert {"Tus-Resumable", "Upload-Offset", "Upload-Expires", "Darkroom-Photo", "Content-Location"} <= said
        assert "460" in paths[address][name]["responses"]
    assert "Location" in paths["/api/v1/uploads"]["post"]["responses"]["201"]["headers"]


def test_limits_that_hold_are_described(schema: dict) -> None:
    described = {one["name"]: one for one in schema["paths"]["/api/v1/photos"]["get"]["parameters"]}

    assert described["iso_min"]["schema"] == {"type": "integer", "minimum": 0, "maximum": 10_000_000}
    assert described["page_size"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
    assert described["person"]["schema"]["maxItems"] == 20
    assert described["q"]["schema"] == {"type": "string", "minLength": 1, "maxLength": 200}
    takes = {
        name: re.compile(described[name]["schema"]["pattern"]) for name in ("bbox", "near", "exposure_min", "fields")
    }
    for name, text in {
        "bbox": "-180,-90,180,90.5",
        "near": "91,0,1",
        "exposure_min": "1/0",
        "fields": "id,nmae",
    }.items():
        assert not takes[name].search(text), name
    for name, text in {
        "bbox": "170,-90,-170,90",
        "near": "-47.5,8,0.5",
        "exposure_min": "1/250",
        "fields": "id,title",
    }.items():
        assert takes[name].search(text), name
        assert described[name]["description"], name


def test_what_is_one_thing_is_described_as_one(schema: dict) -> None:
    for name, component in (("stages", "Stages"), ("workers", "Workers")):
        answer = schema["paths"][f"/api/v1/admin/{name}"]["get"]["responses"]["200"]
        assert answer["content"]["application/json"]["schema"] == {"$ref": f"#/components/schemas/{component}"}


def test_a_body_is_described_where_delete_takes_one(schema: dict) -> None:
    taking = [path for path, methods in schema["paths"].items() if "requestBody" in methods.get("delete", {})]

    assert taking == ["/api/v1/auth/me"]


def test_the_page_loads_nothing_from_strangers(client: Client) -> None:
    response = client.get("/api/docs")

    assert response.status_code == 200
    addresses = re.findall(r"""(?:src|href)=["']([^"']+)["']""", response.content.decode())
    assert len(addresses) >= 4
    addresses.remove("/api/docs?script=")  # this page itself, asked for its script
    for address in addresses:
        assert address.startswith("/static/drf_spectacular_sidecar/"), address
        assert finders.find(address.removeprefix("/static/")), address


def test_the_root_leads_to_the_admin(client: Client) -> None:
    response = client.get("/")

    assert (response.status_code, response["Location"]) == (302, "/admin/")
