"""What a command asks for when it is given nothing stands in its usage."""

import pytest
from django.core.management import load_command_class
from django.core.management.base import CommandError


@pytest.mark.parametrize(
    ("app", "command", "wanted"),
    [
        ("accounts", "audit", "verify"),
        ("accounts", "second_factor", "reset, email"),
        ("config", "services", "{start,stop,status}"),
        ("processing", "models", "{list,install,use,backfill,drop}"),
    ],
)
def test_a_command_without_arguments_names_what_its_usage_names(app: str, command: str, wanted: str) -> None:
    parser = load_command_class(app, command).create_parser("manage.py", command)
    with pytest.raises(CommandError) as refused:
        parser.parse_args([])
    assert str(refused.value) == f"Error: the following arguments are required: {wanted}"
    usage = parser.format_usage().split()
    assert [one for one in wanted.split(", ") if one not in usage] == []
