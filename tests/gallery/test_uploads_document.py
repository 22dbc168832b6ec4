"""The examples of docs/uploads.md, run by a shell against a server: what is written there works."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import factories
import pytest
from pytest_django.live_server_helper import LiveServer
from real_photos import REPOSITORY

from accounts.models import Library
from accounts.services import tokens
from photos.models import Photo

pytestmark = pytest.mark.django_db(transaction=True)


def examples(heading: str) -> str:
    """Give the commands below a heading, in their order."""
    section = (REPOSITORY / "docs" / "uploads.md").read_text().split(f"\n## {heading}")[1].split("\n## ")[0]
    lines = [match[1] for match in re.finditer(r"^ {4,6}(\S.*|  +\S.*)$", section, re.MULTILINE)]
    return "\n".join(lines)


@pytest.fixture
def run(
    live_server: LiveServer, tmp_path: Path, program: Callable[[str], str]
) -> Callable[[str, Library], tuple[str, bytes]]:
    for name in ("bash", "curl", "jq", "base64"):
        program(name)

    def run_commands(commands: str, library: Library) -> tuple[str, bytes]:
        data = factories.image_bytes()
        file = tmp_path / "a picture.jpg"
        file.write_bytes(data)
        environment = {
            "PATH": "/usr/bin:/bin",
            "URL": live_server.url,
            "TOKEN": tokens.begin(user=factories.make_member(library, "editor")).access,
            "LIBRARY": str(library.pk),
            "FILE": str(file),
        }
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout, data

    return run_commands


def test_resumable(run: Callable[[str, Library], tuple[str, bytes]], photo_store: Path) -> None:
    commands = examples("Resumable")
    assert commands.count("curl") == 4
    said, data = run(commands, factories.make_library())
    photo = Photo.objects.get()
    assert photo.byte_size == len(data)
    assert photo.original_filename == "a picture.jpg"
    headers, body = said.replace("\r", "").rsplit("\n\n", 1)
    assert f"Darkroom-Photo: {photo.pk}" in headers
    assert json.loads(body)["photo"]["id"] == str(photo.pk)


def test_straight_to_the_bucket(s3_storages: tuple[str, str], run: Callable[[str, Library], tuple[str, bytes]]) -> None:
    commands = examples("Straight")
    assert commands.count("curl") == 3
    said, data = run(commands, factories.make_library())
    photo = Photo.objects.get()
    assert (photo.byte_size, photo.original_filename) == (len(data), "holiday.jpg")
    assert json.loads(said)["photo"]["id"] == str(photo.pk)
