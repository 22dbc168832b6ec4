"""Examples in the API's schema: every body has one, made of values that make sense, and each is what it says."""

from typing import Any

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator

from accounts.api.problems import MEDIA_TYPE
from config.api_examples import DESCRIBED, Maker, bodies


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return SchemaGenerator().get_schema(public=True)


def as_json_schema(part: Any) -> Any:
    """Write OpenAPI 3.0 as JSON Schema: of its own it has `nullable`."""
    if isinstance(part, list):
        return [as_json_schema(one) for one in part]
    if not isinstance(part, dict):
        return part
    found = {name: as_json_schema(value) for name, value in part.items() if name != "nullable"}
    return {"anyOf": [found, {"type": "null"}]} if part.get("nullable") is True else found


@pytest.fixture(scope="module")
def validate(schema: dict[str, Any]) -> Any:
    components = as_json_schema(schema["components"]["schemas"])

    def errors(body: dict[str, Any], value: Any) -> list[str]:
        document = {**as_json_schema(body["schema"]), "components": {"schemas": components}}
        validator = Draft202012Validator(document, format_checker=Draft202012Validator.FORMAT_CHECKER)
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]

    return errors


def test_every_body_has_an_example_that_is_what_it_says(schema: dict[str, Any], validate: Any) -> None:
    seen, wrong = 0, {}
    for path, status, media_type, body in bodies(schema):
        if media_type not in (*DESCRIBED, MEDIA_TYPE):
            continue
        assert body.get("examples"), (path, status, media_type)
        for example in body["examples"].values():
            name = example.get("$ref", "").removeprefix("#/components/examples/")
            value = (schema["components"]["examples"][name] if name else example)["value"]
            if errors := validate(body, value):
                wrong[path, status, name] = errors
            seen += 1

    assert wrong == {}
    assert seen > 400


def test_every_field_has_a_value_that_makes_sense(schema: dict[str, Any]) -> None:
    """What is named here wants an entry in config/api_example_values.py."""
    maker = Maker(schema["components"]["schemas"])
    for path, _, media_type, body in bodies(schema):
        if media_type in DESCRIBED:
            maker.value(body["schema"], path=path)

    assert maker.missing == set()


def test_a_field_without_a_value_is_named() -> None:
    components = {
        "Thing": {
            "type": "object",
            "properties": {"id": {"type": "string", "format": "uuid"}, "zorp": {"type": "string"}},
        }
    }
    maker = Maker(components)

    made = maker.value({"$ref": "#/components/schemas/Thing"}, path="/")

    assert made["id"].startswith("0199f2a4-")
    assert maker.missing == {"Thing.zorp"}


def test_a_page_leads_to_the_next_one_of_its_own_list(client: Client) -> None:
    examples = client.get("/api/schema?format=json").json()["components"]["examples"]

    assert examples["PaginatedPersonList"]["value"]["next"].startswith(
        "https://photos.example.org/api/v1/people?cursor="
    )
    assert examples["PaginatedPersonList"]["value"]["results"] == [examples["Person"]["value"]]
    assert examples["Person"]["value"]["name"] == "Ada Lovelace"
    assert examples["Problem401"]["value"]["code"] == "not_authenticated"


def test_what_was_written_by_hand_stays(schema: dict[str, Any]) -> None:
    body = schema["paths"]["/api/v1/admin/workers"]["get"]["responses"]["200"]["content"]["application/json"]

    assert [one["summary"] for one in body["examples"].values()] == ["A worker with a device"]
