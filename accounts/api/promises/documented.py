"""What the schema says of an operation, asked while it is called: what is documented is what holds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.settings import spectacular_settings
from rest_framework.request import Request

FIELDS = "fields"
# lists whose pages have other members beside them
RESULTS = "results"


@dataclass(frozen=True, slots=True)
class Documented:
    """The names of the query's parameters, and of the fields of what is answered: one thing, or those of a list.

    `list_name` is the member of the answer that has the list; None where the answer is the thing itself.
    """

    parameters: frozenset[str]
    fields: tuple[str, ...] = ()
    list_name: str | None = None


# by what answers, and the method: some fifty, each made when it is first called, which takes some ten milliseconds
_known: dict[tuple[Callable[..., Any], str], Documented] = {}


def documented(request: Request) -> Documented | None:
    """Give what is documented of the operation that a request asks for; None for one that came by no address."""
    match = request.resolver_match
    if match is None:
        return None
    # HEAD is answered by what answers GET
    method = "GET" if request.method == "HEAD" else request.method
    key = (match.func, method)
    if key not in _known:
        _known[key] = _documented(match.func, method)
    return _known[key]


def name_fields(result: dict[str, Any], **_generator: object) -> dict[str, Any]:
    """Say of each operation's parameter `fields` which names it takes; a hook of drf-spectacular."""
    for operation in (one for methods in result["paths"].values() for one in methods.values()):
        for parameter in operation.get("parameters", ()):
            if (parameter["in"], parameter["name"]) == ("query", FIELDS):
                names = "|".join(_fields_of(operation, result["components"]["schemas"])[0])
                parameter["schema"]["pattern"] = f"^({names})(,({names}))*$"
    return result


def _documented(callback: Callable[..., Any], method: str) -> Documented:
    generator = SchemaGenerator()
    view = generator.create_view(callback, method)
    # without the parameters of the path, which are not asked for
    path = spectacular_settings.SCHEMA_PATH_PREFIX
    view.request = spectacular_settings.GET_MOCK_REQUEST(method, path, view, None)
    operation = view.schema.get_operation(path, path, path, method, generator.registry) or {}
    parameters = frozenset(one["name"] for one in operation.get("parameters", ()) if one["in"] == "query")
    if FIELDS not in parameters:
        return Documented(parameters)
    components = generator.registry.build({})["schemas"]
    return Documented(parameters, *_fields_of(operation, components))


def _fields_of(operation: dict[str, Any], components: dict[str, Any]) -> tuple[tuple[str, ...], str | None]:
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    return _shape(_properties(answer, components), components)


def _shape(properties: dict[str, Any], components: dict[str, Any]) -> tuple[tuple[str, ...], str | None]:
    """Give the fields that may be asked for, and the member with the list if it is one that is answered."""
    lists = [name for name, one in properties.items() if one.get("type") == "array"]
    # a page; or an answer that has a list, and nothing beside it
    if RESULTS in lists or list(properties) == lists[:1]:
        name = RESULTS if RESULTS in lists else lists[0]
        return tuple(_properties(properties[name], components)), name
    return tuple(properties), None


def _properties(schema: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    """Give the properties of an object, or of the items of a list; of alternatives those of each."""
    if "$ref" in schema:
        return _properties(components[schema["$ref"].rpartition("/")[2]], components)
    if schema.get("type") == "array":
        return _properties(schema["items"], components)
    found = dict(schema.get("properties", {}))
    for one in (*schema.get("oneOf", ()), *schema.get("allOf", ())):
        found |= _properties(one, components)
    return found
