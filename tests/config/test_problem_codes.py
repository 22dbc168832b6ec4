"""Codes of problems: docs/api.md has a table of all that there are, with their statuses, and of no others."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from rest_framework import exceptions
from rest_framework_simplejwt.exceptions import InvalidToken

from accounts.problems import DomainError, InvalidValueError
from config.problems import STATUS_BY_CODE, _answer
from photos.problems import RefusedFileError
from processing.engines.errors import EngineError

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("accounts", "photos", "processing", "gallery", "config")
ROW = re.compile(r"^\| `(?P<code>\w+)` \| (?P<statuses>[\d, ]+) \| (?P<meaning>[^|]+) \| (?P<remedy>[^|]+) \|$", re.M)
# what raises a code that it is given, beside the classes of problems
RAISING = {"problem", "AuthenticationFailed", "RefusedTokenError", "SocialLoginRefusedError"}
# `config.problems` answers them as 503
INFRASTRUCTURE = {"database_unavailable", "storage_unavailable", "broker_unavailable"}
# of a header or a token that the framework cannot read, and of what no view may raise
FRAMEWORK = {
    *(
        error.default_code
        for error in (
            exceptions.ParseError,
            exceptions.AuthenticationFailed,
            exceptions.NotAuthenticated,
            exceptions.PermissionDenied,
            exceptions.NotFound,
            exceptions.MethodNotAllowed,
            exceptions.NotAcceptable,
            exceptions.UnsupportedMediaType,
            exceptions.Throttled,
        )
    ),
    InvalidToken.default_code,
    "bad_authorization_header",
}
# pages of the admin alone
NOT_OF_THE_API = {"role_is_built_in", "role_in_use", "not_permitted"}


def modules() -> Iterator[ModuleType]:
    """Import every module but commands and migrations."""
    for package in map(importlib.import_module, PACKAGES):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not re.search(r"\.(migrations|management|settings|gunicorn|wsgi|asgi|running|embedded)\b", found.name):
                yield importlib.import_module(found.name)


def named_in(module: ModuleType) -> Iterator[str]:
    """Give the codes that a module's calls name: as text, or as a constant of its own."""
    for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
        if not isinstance(node, ast.Call) or getattr(node.func, "id", "") not in RAISING | {"RefusedFileError"}:
            continue
        given = [one.value for one in node.keywords if one.arg == "code"]
        given += node.args[:1] if node.func.id == "RefusedFileError" else []
        for value in given:
            if isinstance(value, ast.Constant):
                yield value.value
            elif isinstance(value, ast.Name) and isinstance(getattr(module, value.id, None), str):
                yield getattr(module, value.id)


def subclasses(kind: type) -> set[type]:
    return {kind, *(below for one in kind.__subclasses__() for below in subclasses(one))}


@pytest.fixture(scope="module")
def raised() -> set[str]:
    """The codes that the code base can raise."""
    found = {code for module in modules() for code in named_in(module)}
    of_domain = {one.code for one in subclasses(DomainError) - {DomainError, RefusedFileError}}
    # what an upload is refused with is what its header is refused with
    of_files = {one.code for one in subclasses(EngineError) if one.__module__ == EngineError.__module__}
    at_the_door = of_files & {"unsupported_format", "damaged", "too_many_pixels", "empty_file"}
    return found | of_domain | at_the_door | {*STATUS_BY_CODE} | INFRASTRUCTURE | FRAMEWORK | {"person_required"}


@pytest.fixture(scope="module")
def table() -> dict[str, set[int]]:
    rows = ROW.findall((REPOSITORY / "docs" / "api.md").read_text())
    assert len(rows) == len({code for code, *_ in rows}), "a code stands in the table twice"
    return {code: {int(one) for one in statuses.split(",")} for code, statuses, *_ in rows}


def test_the_table_has_every_code_that_there_is(raised: set[str], table: dict[str, set[int]]) -> None:
    assert raised - NOT_OF_THE_API - table.keys() == set()


def test_the_table_has_no_code_that_nothing_raises(raised: set[str], table: dict[str, set[int]]) -> None:
    assert table.keys() - raised == set()
    assert raised >= NOT_OF_THE_API


def test_the_table_says_with_which_status(table: dict[str, set[int]]) -> None:
    wrong = {}
    for kind in subclasses(DomainError) - {DomainError, RefusedFileError}:
        if kind.code in NOT_OF_THE_API:
            continue
        # made without asking for what each wants to be told
        error = kind.__new__(kind)
        error.detail, error.extra = "", {}
        status = int(_answer(error)["status"])
        if status not in table[kind.code]:
            wrong[kind.code] = status
    for code, status in STATUS_BY_CODE.items():
        if int(status) not in table[code]:
            wrong[code] = int(status)
    assert wrong == {}
    assert table[InvalidValueError.code] == {400}
