import json
import logging
import sys
from collections.abc import Iterator
from datetime import datetime
from io import StringIO

import pytest
from celery import Task, current_app

from config.logging import JsonFormatter, LineFormatter, TaskFilter, logging_config, redact


@pytest.fixture
def written() -> Iterator[StringIO]:
    """What a logger named `here` writes, with the formatter that a test gives it."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(TaskFilter())
    logger = logging.getLogger("here")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield stream
    logger.removeHandler(handler)
    logger.propagate = True


def write(form: logging.Formatter, message: str, *arguments: object, **options: object) -> None:
    logger = logging.getLogger("here")
    logger.handlers[0].setFormatter(form)
    logger.warning(message, *arguments, **options)


def in_a_task(function: object) -> None:
    """Call a function inside of a task named `look` with the id `abc`, as a worker does."""

    @current_app.task(name="look", bind=True, shared=False)
    def look(_self: Task) -> None:
        function()

    try:
        look.apply(task_id="abc", throw=True)
    finally:
        current_app.tasks.unregister("look")


def test_a_line_is_for_people(written: StringIO) -> None:
    write(LineFormatter(), "%d photos", 3)
    time, rest = written.getvalue().split(" WARNING ")
    assert datetime.fromisoformat(time.replace(",", "."))
    assert rest == "here: 3 photos\n"


def test_a_line_names_the_task(written: StringIO) -> None:
    in_a_task(lambda: write(LineFormatter(), "working"))
    assert written.getvalue().endswith(" WARNING here [look abc]: working\n")


def test_json_is_one_object_a_line(written: StringIO) -> None:
    write(JsonFormatter(), "two\nlines %s", "é")
    line = written.getvalue()
    assert line.count("\n") == 1
    said = json.loads(line)
    assert datetime.fromisoformat(said.pop("time")).utcoffset().total_seconds() == 0
    assert said.pop("process") > 0
    assert said == {"level": "WARNING", "logger": "here", "message": "two\nlines é"}


def test_json_names_task_and_exception(written: StringIO) -> None:
    def fail() -> None:
        try:
            int("password=hunter2")
        except ValueError:
            write(JsonFormatter(), "it failed", exc_info=sys.exc_info())

    in_a_task(fail)
    said = json.loads(written.getvalue())
    assert (said["task_id"], said["task_name"]) == ("abc", "look")
    assert said["exception"].endswith("ValueError: invalid literal for int() with base 10: 'password=***'")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis://:hunter2@host:6379/0", "redis://:***@host:6379/0"),
        ("postgres://darkroom:hunter2@db/darkroom is gone", "postgres://darkroom:***@db/darkroom is gone"),
        ("Authorization: Bearer eyJhbGciOi.eyJzdWIi.c2ln-_", "Authorization: Bearer ***"),
        ("{'password': 'hunter2', 'email': 'a@b.org'}", "{'password': '***', 'email': 'a@b.org'}"),
        ("SECRET_KEY=abc INTERNAL_TOKEN=def", "SECRET_KEY=*** INTERNAL_TOKEN=***"),
        ("GET /k?X-Amz-Credential=A/1&X-Amz-Signature=0f&x=1", "GET /k?X-Amz-Credential=***&X-Amz-Signature=***&x=1"),
        ('{"aws_secret_access_key": "abc/def+ghi"}', '{"aws_secret_access_key": "***"}'),
        ("Not Found: /s/Zx9_kQ0aB-1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX/3/preview", "Not Found: /s/***/3/preview"),
        ("exif of 019a: damaged at 12:30", "exif of 019a: damaged at 12:30"),
        ("http://host:8000/api/v1/photos?cursor=abc", "http://host:8000/api/v1/photos?cursor=abc"),
        ("lease_token of run 7 was lost", "lease_token of run 7 was lost"),
    ],
)
def test_secrets_are_hidden_and_nothing_else(text: str, expected: str) -> None:
    assert redact(text) == expected


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(ValueError, match="LOG_FORMAT is 'xml': it is one of line, json"):
        logging_config(level="INFO", form="xml")
