"""The documentation says of roles what the code says."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from real_photos import REPOSITORY

from accounts.role_table import documented_table, role_table
from accounts.roles import BUILT_IN_ROLES, BuiltInRole, Permission

PAGE = REPOSITORY / "docs" / "access.md"


def printed(*arguments: str) -> str:
    out = StringIO()
    call_command("roles", *arguments, stdout=out)
    return out.getvalue()


def test_the_page_says_what_the_code_says() -> None:
    assert documented_table(PAGE) == role_table() == printed()
    assert printed("--check") == f"{PAGE} says what the code says.\n"


def test_the_table_tells_every_permission_of_every_role() -> None:
    header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in role_table().splitlines()]
    assert header == ["Permission", "What it allows", "admin", "editor", "visitor"]
    told = {
        role: {row[0].strip("`") for row in rows if row[header.index(role)] == "yes"} for role in BuiltInRole.values
    }
    assert told == {role: set(held) for role, held in BUILT_IN_ROLES.items()}
    assert [(row[0], row[1]) for row in rows] == [(f"`{one.value}`", one.label) for one in Permission]


def test_a_second_table_is_an_error(tmp_path: Path) -> None:
    page = tmp_path / "access.md"
    page.write_text(PAGE.read_text() * 2)
    with pytest.raises(CommandError, match=str(page)):
        printed("--check", "--page", str(page))


@pytest.mark.parametrize("content", ["no table", None, "x\n<!-- printed by manage.py roles -->\n\n| a |\n"])
def test_a_page_that_says_something_else_is_an_error(tmp_path: Path, content: str | None) -> None:
    page = tmp_path / "access.md"
    if content is not None:
        page.write_text(content)
    with pytest.raises(CommandError, match=str(page)):
        printed("--check", "--page", str(page))


def test_one_changed_cell_is_an_error(tmp_path: Path) -> None:
    page = tmp_path / "access.md"
    page.write_text(PAGE.read_text().replace("yes    ", "       ", 1))
    with pytest.raises(CommandError, match="is not what the code says"):
        printed("--check", "--page", str(page))
