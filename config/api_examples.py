"""Examples in the API's schema: of every body that is sent or answered, made of its description, so that none is stale.

A value comes from `config.api_example_values`, by the field's name, or from the type. What a view documents by hand
stays.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

from accounts.api.problems import MEDIA_TYPE
from config.api_example_values import BY_CHOICE, BY_COMPONENT_AND_FIELD, BY_FIELD
from config.problems import NOT_FOUND, NOT_PERMITTED, problem

HOST = "https://photos.example.org"
MOMENT = "2026-05-04T09:12:00.120000Z"
CURSOR = "?cursor=cD0wMTk5ZjJhNC0xYzA1LTdkMzE%3D"
# bodies of these types have an example; the bytes of a picture have none
DESCRIBED = ("application/json", "multipart/form-data")

_TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict}
_WRONG_NAME = [{"field": "name", "code": "max_length", "detail": "Ensure this field has no more than 200 characters."}]
PROBLEMS: dict[str, dict[str, Any]] = {
    str(one["status"]): one
    for one in (
        problem(400, code="invalid", detail="The request has values that cannot be: name.", errors=_WRONG_NAME),
        problem(401, code="not_authenticated", detail="Authentication credentials were not provided."),
        problem(403, code="permission_denied", detail=NOT_PERMITTED),
        problem(404, code="not_found", detail=NOT_FOUND),
        problem(409, code="conflict", detail="The photos are being worked on. Try again."),
        problem(411, code="length_required", detail="Send the body with a Content-Length, not in chunks."),
        problem(412, code="precondition_failed", detail="It has been changed since you have read it. Read it again."),
        problem(413, code="too_large", detail="At most 209,715,200 bytes are allowed.", limit=209_715_200),
        problem(415, code="unsupported_format", detail="This is no image of a format that is known here."),
        problem(422, code="idempotency_key_reused", detail="This key was sent with another request: take a new one."),
        problem(410, code="upload_ended", detail="The upload was ended or has expired: begin another one."),
        problem(423, code="upload_locked", detail="Another request is at work on the upload. Try again in a moment."),
        problem(460, code="wrong_checksum", detail="The bytes are not those that `Upload-Checksum` is of."),
        problem(503, code="text_search_unavailable", detail="No worker has answered in time. Try again."),
        problem(429, code="throttled", detail="Request was throttled. Expected available in 42 seconds."),
    )
}


def add_examples(result: dict[str, Any], **_generator: object) -> dict[str, Any]:
    """Add an example to each body of the schema that has none; a hook of drf-spectacular."""
    maker = Maker(result["components"]["schemas"])
    shared = result["components"].setdefault("examples", {})
    for path, status, media_type, body in bodies(result):
        if "examples" in body or "example" in body:
            continue
        if media_type == MEDIA_TYPE and status in PROBLEMS:
            name, value = f"Problem{status}", PROBLEMS[status]
        elif media_type in DESCRIBED:
            name, value = _name_of(body["schema"]), maker.value(body["schema"], path=path)
        else:
            continue
        if name is None:
            body["examples"] = {"Example": {"value": value}}
        else:
            shared.setdefault(name, {"value": value})
            body["examples"] = {"Example": {"$ref": f"#/components/examples/{name}"}}
    result["components"]["examples"] = dict(sorted(shared.items()))
    return result


def let_alternatives_overlap(result: dict[str, Any], **_generator: object) -> dict[str, Any]:
    """Say `anyOf` of answers that are one of several: what has all fields is an instance of what has some of them.

    A hook of drf-spectacular, which writes `oneOf`: of that exactly one may match.
    """
    components = result["components"]["schemas"]
    for schema in components.values():
        targets = [components[one["$ref"].rpartition("/")[2]] for one in schema.get("oneOf", ()) if "$ref" in one]
        if targets and "discriminator" not in schema and all(one.get("type") == "object" for one in targets):
            schema["anyOf"] = schema.pop("oneOf")
    return result


def bodies(schema: dict[str, Any]) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Give every body: the path, the status of an answer or "" for a request, the media type, and its description."""
    for path, methods in schema["paths"].items():
        for operation in methods.values():
            for media_type, body in operation.get("requestBody", {}).get("content", {}).items():
                yield path, "", media_type, body
            for status, answer in operation["responses"].items():
                for media_type, body in answer.get("content", {}).items():
                    yield path, status, media_type, body


class Maker:
    """Makes values of schemas; `missing` names the fields for which it had none, as `Component.field`."""

    def __init__(self, components: dict[str, Any]) -> None:
        self._components = components
        self.missing: set[str] = set()

    def value(self, schema: dict[str, Any], *, path: str) -> Any:
        """Give the example of a body at a path; that of a page leads to the next one."""
        found = self._of(schema, "", "")
        if isinstance(found, dict) and "next" in found and "results" in found:
            found["next"] = HOST + path.replace("{", "").replace("}", "") + CURSOR
        return found

    def _of(self, schema: dict[str, Any], component: str, field: str) -> Any:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            if name in BY_CHOICE:
                return BY_CHOICE[name]
            # a choice belongs to its field; anything else has fields of its own
            target = self._components[name]
            return self._of(target, *((component, field) if "enum" in target else (name, "")))
        for alternatives in ("allOf", "oneOf", "anyOf"):
            if alternatives in schema:
                return self._of(schema[alternatives][0], component, field)
        if "enum" in schema:
            return schema["enum"][0]
        return self._named(schema, component, field)

    def _named(self, schema: dict[str, Any], component: str, field: str) -> Any:
        """Give the value that has the field's name, or one of its type."""
        for table, name in ((BY_COMPONENT_AND_FIELD, f"{component}.{field}"), (BY_FIELD, field)):
            if name in table and _fits(table[name], schema):
                return table[name]
        kind = schema.get("type")
        if kind == "object" and "properties" in schema:
            return {name: self._of(one, component, name) for name, one in schema["properties"].items()}
        if kind == "array":
            return [self._of(schema["items"], component, field)]
        if kind == "boolean":
            return bool(schema.get("default", False))
        if kind == "string" and (known := _of_format(schema.get("format", ""), field)):
            return known
        self.missing.add(f"{component}.{field}")
        return None


def _name_of(schema: dict[str, Any]) -> str | None:
    """Name an example after the component that it is one of."""
    return schema["$ref"].rpartition("/")[2] if "$ref" in schema else None


def _fits(value: Any, schema: dict[str, Any]) -> bool:
    kind = schema.get("type")
    if value is None:
        return kind is None or schema.get("nullable", False)
    return kind is None or (isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool)))


def _of_format(form: str, field: str) -> str | None:
    """Give a value of a format; the key of a field is the same wherever it stands."""
    digits = hashlib.sha256(field.encode()).hexdigest()
    known = {
        "uuid": f"0199f2a4-{digits[:4]}-7{digits[4:7]}-8{digits[7:10]}-{digits[10:22]}",
        "date-time": MOMENT,
        "date": MOMENT[:10],
        "uri": f"{HOST}/api/v1/{field.removesuffix('_url')}",
        "email": BY_FIELD["email"],
    }
    return known.get(form)
