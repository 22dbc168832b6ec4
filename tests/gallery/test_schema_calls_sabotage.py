"""The calls of `test_schema_calls.py` find what they are made for: each fault, in its place, and no other one."""

from pathlib import Path

import pytest
from schema_world import SchemaWorld

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

COLLECTIONS = ("albums", "shares", "tags", "roles")
LEAK = "StrangersLearnNothing"


def test_faults_are_found_where_they_are(process_environment: dict[str, str], tmp_path: Path) -> None:
    only = ["--phases", "examples,coverage"]
    for name in COLLECTIONS:
        one = f"/api/v1/{name}" if name in {"roles", "tags"} else f"/api/v1/{name}/{{id}}"
        only += ["--include-path", one]
    environment = process_environment | {
        "DJANGO_SETTINGS_MODULE": "schema_sabotage",
        "PYTHONPATH": str(Path(__file__).parent),
    }
    [result] = SchemaWorld().run(environment=environment, folder=tmp_path, examples=5, only=only)
    found = {
        (failure["code"], operation) for failure in result.report["failures"] for operation in failure["operations"]
    }
    assert found == {
        ("ST901", "GET /api/v1/albums/{id}"),
        ("ST901", "GET /api/v1/shares/{id}"),
        ("ST101", "GET /api/v1/tags"),
        ("ST103", "GET /api/v1/tags"),
        ("ST108", "GET /api/v1/roles"),
    }, result.printed
    assert result.code == 1, result.printed
    assert result.printed.count(LEAK) >= 2, result.printed
    assert "the stranger got 200" in result.printed, result.printed
    assert "what is ours is answered (403," in result.printed, result.printed
