"""The table of permissions and built-in roles, as the documentation shows it."""

from pathlib import Path

from accounts.roles import BUILT_IN_ROLES, BuiltInRole, Permission

BEGIN, END = "<!-- printed by manage.py roles -->", "<!-- end of what manage.py roles prints -->"


def role_table() -> str:
    """Give a table in Markdown: a line for each permission, a column for each built-in role."""
    header = ["Permission", "What it allows", *(role.value for role in BuiltInRole)]
    rows = [
        [f"`{permission.value}`", str(permission.label), *("yes" if one else "" for one in _held(permission))]
        for permission in Permission
    ]
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    ruled = ["-" * width for width in widths]
    return "\n".join(_line(row, widths) for row in [header, ruled, *rows]) + "\n"


def documented_table(path: Path) -> str | None:
    """Read the table out of a page of the documentation; None where it has none, or two."""
    before, begin, rest = path.read_text().partition(f"{BEGIN}\n")
    table, end, after = rest.partition(END)
    return table.strip("\n") + "\n" if before and begin and end and BEGIN not in before + after else None


def _held(permission: Permission) -> list[bool]:
    return [permission in BUILT_IN_ROLES[role] for role in BuiltInRole]


def _line(cells: list[str], widths: list[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
