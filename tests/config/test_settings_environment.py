"""How settings are read from the environment and from a .env file."""

import json
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def load_local(var_dir: Path, given: dict[str, str], *names: str) -> list:
    """Load the local settings in a process of their own and give the values of these names."""
    program = (
        "import json, sys; from django.conf import settings; "
        "print(json.dumps([getattr(settings, name) for name in sys.argv[1:]], default=str))"
    )
    environment = {
        "PATH": os.defpath,
        "DARKROOM_ENV_FILE": "",
        "DJANGO_SETTINGS_MODULE": "config.settings.local",
        "VAR_DIR": str(var_dir),
    }
    finished = subprocess.run(
        [sys.executable, "-c", program, *names],
        cwd=REPOSITORY,
        env=environment | given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def test_the_environment_comes_before_the_file_and_the_file_before_the_default(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("INGEST_WORKERS=7\nDEVICE=cpu\n")
    given = {"DARKROOM_ENV_FILE": str(tmp_path / "env"), "DEVICE": "cuda"}

    values = load_local(tmp_path / "var", given, "INGEST_WORKERS", "DEVICE", "FACES_WORKERS")

    assert values == [7, "cuda", 1]


def test_sizes_are_given_as_pairs_and_thresholds_as_numbers(tmp_path: Path) -> None:
    given = {"RENDITION_SIZES": "preview=1600,thumb_300=320", "FACE_CLUSTER_THRESHOLD": "0.4"}

    values = load_local(tmp_path, given, "RENDITION_SIZES", "FACE_CLUSTER_THRESHOLD")

    assert values == [{"preview": 1600, "thumb_300": 320}, 0.4]


def test_the_cache_keeps_out_of_the_brokers_database(tmp_path: Path) -> None:
    given = {"REDIS_URL": "rediss://:secret@redis.example.org:6380/0?ssl_cert_reqs=required"}

    broker, caches = load_local(tmp_path, given, "CELERY_BROKER_URL", "CACHES")

    assert broker == "rediss://:secret@redis.example.org:6380/0?ssl_cert_reqs=required"
    assert caches["default"]["LOCATION"] == "rediss://:secret@redis.example.org:6380/1?ssl_cert_reqs=required"


def test_s3_is_chosen_by_the_environment(tmp_path: Path) -> None:
    given = {"STORAGE_TYPE": "s3", "S3_BUCKET": "one", "AWS_S3_ENDPOINT_URL": "http://127.0.0.1:9000"}

    (storages,) = load_local(tmp_path, given, "STORAGES")

    originals, renditions = storages["originals"]["OPTIONS"], storages["renditions"]["OPTIONS"]
    assert storages["originals"]["BACKEND"] == storages["renditions"]["BACKEND"]
    # one bucket for both: the prefix keeps them apart
    assert (originals["bucket_name"], originals["location"]) == ("one", "originals")
    assert (renditions["bucket_name"], renditions["location"]) == ("one", "renditions")
    assert originals["endpoint_url"] == "http://127.0.0.1:9000"
    assert originals["default_acl"] is None
    assert originals["querystring_auth"] is True


def test_a_relative_var_dir_starts_at_the_repository(tmp_path: Path) -> None:
    relative = os.path.relpath(tmp_path / "var", REPOSITORY)

    assert load_local(Path(relative), {}, "VAR_DIR", "MODELS_DIR") == [
        str(tmp_path / "var"),
        str(tmp_path / "var" / "models"),
    ]


MAIL = ("EMAIL_BACKEND", "EMAIL_HOST", "EMAIL_PORT", "EMAIL_HOST_USER", "EMAIL_USE_TLS", "EMAIL_USE_SSL", "PUBLIC_URL")


def test_mail_is_printed_unless_a_server_is_named(tmp_path: Path) -> None:
    values = load_local(tmp_path, {}, *MAIL)

    console = "django.core.mail.backends.console.EmailBackend"
    assert values == [console, "localhost", 25, "", False, False, "http://localhost:8000"]


def test_a_mail_server_is_named_by_an_address(tmp_path: Path) -> None:
    given = {"EMAIL_URL": "smtp+tls://ada:a%2Fsecret@mail.example.org:587", "PUBLIC_URL": "https://photos.example.org/"}

    values = load_local(tmp_path, given, *MAIL, "EMAIL_HOST_PASSWORD", "EMAIL_TIMEOUT")

    smtp = "django.core.mail.backends.smtp.EmailBackend"
    expected = [smtp, "mail.example.org", 587, "ada", True, False, "https://photos.example.org", "a/secret", 5]
    assert values == expected
