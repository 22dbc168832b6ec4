from pathlib import Path

import pytest
from pytest_django import Settings

from processing.checks import check_broker, check_models, check_settings
from processing.engines.installation import install
from processing.models import ModelSelection


def test_the_settings_as_they_come_are_well() -> None:
    assert check_settings() == []


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("INGEST_WORKERS", 0, "processing.E001"),
        ("UPLOAD_MAX_BYTES", -1, "processing.E001"),
        ("LEDGER_LEASE_SECONDS", 0, "processing.E001"),
        ("RENDITION_SIZES", {"thumb_300": 300}, "processing.E002"),
        ("RENDITION_SIZES", {"preview": 1440, "thumb_300": 0}, "processing.E003"),
        ("RENDITION_QUALITY", 96, "processing.E004"),
        ("FACE_CHIP_QUALITY", 0, "processing.E004"),
        ("FACE_CANDIDATE_CONFIDENCE", 0.96, "processing.E005"),
        ("FACE_MIN_CONFIDENCE", 1.01, "processing.E005"),
        ("DEVICE", "gpu", "processing.E006"),
        ("FACE_CHIP_MARGIN", -0.1, "processing.E007"),
        ("FACE_CLUSTER_THRESHOLD", 0.0, "processing.E008"),
        ("STAGE_TASK_TIME_LIMIT", 60, "processing.E009"),
        ("FACE_MIN_QUALITY", 1.5, "processing.E010"),
        ("DECODE_WALL_SECONDS", 46, "processing.E012"),
        ("LEDGER_HAND_BACKS", 0, "processing.E001"),
        ("DECODE_FILE_BYTES", 200 * 1024**2 - 1, "processing.E011"),
        ("UPLOAD_MAX_BYTES", 256 * 1024**2 + 1, "processing.E011"),
        ("UPLOAD_MAX_OPEN", 0, "processing.E001"),
        ("EXPORT_LIFETIME_DAYS", 0, "processing.E001"),
        ("UPLOAD_DIRECT_SECONDS", 86_401, "processing.E013"),
        ("UPLOAD_EXPIRES_SECONDS", 3599, "processing.E013"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(settings: Settings, name: str, value: object, code: str) -> None:
    setattr(settings, name, value)
    errors = check_settings()
    assert code in [error.id for error in errors]
    assert all(error.hint for error in errors)
    assert any(name in error.msg for error in errors)


def test_a_broker_that_answers_is_well() -> None:
    assert check_broker(databases=["default"]) == []


def test_a_broker_that_does_not_is_a_warning(settings: Settings, closed_port: int) -> None:
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{closed_port}/0"
    (warning,) = check_broker(databases=["default"])
    assert warning.id == "processing.W001"
    assert "Connection refused" in warning.msg
    assert check_broker(databases=None) == []


@pytest.mark.django_db
def test_selected_models_are_looked_for_on_this_host(settings: Settings, tmp_path: Path) -> None:
    settings.MODELS_DIR = tmp_path
    here = install("dlib-resnet-v1", models_dir=tmp_path)
    for model, weights in (("dlib-resnet-v1", here.weights_hash), ("facenet-casia", "c" * 64)):
        ModelSelection.objects.create(task="face_embedding", model=model, weights_hash=weights)

    (warning,) = check_models(databases=["default"])

    assert warning.id == "processing.W002"
    expected = "The model 'facenet-casia' is selected for face_embedding, and this host has no weights of it."
    assert warning.msg == expected
    assert warning.hint.startswith("`manage.py models install facenet-casia`")
    assert check_models(databases=None) == []

    ModelSelection.objects.filter(model="dlib-resnet-v1").update(weights_hash="d" * 64)
    said = [warning.msg for warning in check_models(databases=["default"])]
    assert "this host has other weights than were selected of it" in said[0]
