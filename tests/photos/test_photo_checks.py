from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection, connections
from pytest_django import Settings

from photos.checks import check_folders, check_vector_extension


def test_folders_that_can_be_written_are_well_and_stay_as_they_are(photo_store: Path) -> None:
    (photo_store / "originals").mkdir(parents=True)
    assert check_folders() == []
    assert [path.name for path in photo_store.rglob("*")] == ["originals"]


def test_a_folder_that_cannot_be_written_is_named(photo_store: Path) -> None:
    photo_store.mkdir()
    (photo_store / "originals").write_bytes(b"no folder")
    (error,) = check_folders()
    assert error.id == "photos.E001"
    assert error.msg.startswith("The folder of the storage 'originals' cannot be written: [Errno 20] Not a directory")
    assert str(photo_store / "originals") in error.hint


def test_the_folder_of_uploads_under_way_is_looked_at_too(settings: Settings, photo_store: Path) -> None:
    settings.FILE_UPLOAD_TEMP_DIR = "/dev/null/uploads"
    assert photo_store
    assert [error.msg.partition(" cannot")[0] for error in check_folders()] == ["The folder of uploads under way"]


@pytest.mark.django_db
def test_the_extension_is_there() -> None:
    assert check_vector_extension(databases=["default"]) == []
    assert check_vector_extension(databases=None) == []


@pytest.mark.django_db(transaction=True)
def test_a_database_that_does_not_answer_is_said(closed_port: int) -> None:
    connection.close()
    database = connections.settings["default"]
    port = database["PORT"]
    database["PORT"] = closed_port
    try:
        (error,) = check_vector_extension(databases=["default"])
    finally:
        database["PORT"] = port
    assert (error.id, error.hint) == ("photos.E002", "Start it, or correct DATABASE_URL.")


def test_a_plain_check_needs_no_service(settings: Settings, photo_store: Path, closed_port: int) -> None:
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{closed_port}/0"
    assert photo_store
    database = connections.settings["default"]
    port = database["PORT"]
    database["PORT"] = closed_port
    said = StringIO()
    try:
        call_command("check", stdout=said, stderr=said)
    finally:
        database["PORT"] = port
    assert said.getvalue().startswith("System check identified no issues")


@pytest.mark.django_db
@pytest.mark.usefixtures("photo_store")
def test_a_check_with_the_database_asks_the_services() -> None:
    said = StringIO()
    call_command("check", databases=["default"], stdout=said, stderr=said)
    assert said.getvalue().startswith("System check identified no issues")
