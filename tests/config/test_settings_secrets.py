"""Secrets: production refuses to start without them, one's own machine makes them once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from config import local_secrets

REPOSITORY = Path(__file__).resolve().parents[2]
# of as few different characters as are taken
KEY = "abcdefgh" * 8
COMPLETE = {
    "SECRET_KEY": KEY,
    "JWT_SIGNING_KEY": "j" + KEY,
    "INTERNAL_TOKEN": "t" + KEY,
    "ALLOWED_HOSTS": "photos.example.org",
    "DATABASE_URL": "postgresql://darkroom:secret@db.example.org/darkroom",
    "REDIS_URL": "redis://redis.example.org:6379/0",
}

DIFFER = "SECRET_KEY, JWT_SIGNING_KEY, INTERNAL_TOKEN, SECOND_FACTOR_KEY must differ from each other"


def load_production(given: dict[str, str], expression: str = "None") -> subprocess.CompletedProcess[str]:
    """Load the production settings with this environment and nothing else."""
    return in_production("-c", f"from django.conf import settings; settings.DEBUG; print({expression})", given=given)


def in_production(*arguments: str, given: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.defpath, "DARKROOM_ENV_FILE": "", "DJANGO_SETTINGS_MODULE": "config.settings.production"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env=environment | given,
        capture_output=True,
        text=True,
        check=False,
    )


def test_production_starts_with_everything_given() -> None:
    finished = load_production(COMPLETE, "settings.DEBUG, settings.CACHES['default']['LOCATION']")

    assert finished.stdout.strip() == "False redis://redis.example.org:6379/1"


@pytest.mark.parametrize("name", COMPLETE)
def test_production_refuses_to_start_without(name: str) -> None:
    finished = load_production({key: value for key, value in COMPLETE.items() if key != name})

    assert finished.returncode == 1
    assert finished.stderr.strip().endswith(f"ImproperlyConfigured: Darkroom does not start: {name} is not set")


def test_a_command_says_in_one_line_what_is_not_set() -> None:
    finished = in_production("manage.py", "check", given=COMPLETE | {"SECRET_KEY": "", "REDIS_URL": ""})

    assert finished.returncode == 1
    assert finished.stderr == "Darkroom does not start: SECRET_KEY is not set; REDIS_URL is not set\n"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"SECRET_KEY": "short"}, "SECRET_KEY must be random and have at least 32 characters"),
        ({"SECRET_KEY": "a" * 50}, "SECRET_KEY must be random and have at least 32 characters"),
        ({"SECRET_KEY_FALLBACKS": f"abc,{KEY}"}, "SECRET_KEY_FALLBACKS must be random and have at least 32 characters"),
        ({"SECRET_KEY": "django-insecure-" + KEY}, "SECRET_KEY must be random and have at least 32 characters"),
        ({"JWT_SIGNING_KEY": KEY}, DIFFER),
        ({"SECOND_FACTOR_KEY": KEY}, DIFFER),
        ({"STORAGE_TYPE": "s3"}, "STORAGE_TYPE is s3, and S3_BUCKET is not set"),
        ({"SECOND_FACTOR_KEY": "short"}, "SECOND_FACTOR_KEY must be random and have at least 32 characters"),
        (
            {"OIDC_ISSUER": "http://login.example.org", "OIDC_CLIENT_ID": "a", "OIDC_CLIENT_SECRET": "b"},
            "OIDC_ISSUER must begin with https://",
        ),
    ],
)
def test_production_refuses_weak_or_half_settings(given: dict[str, str], reason: str) -> None:
    finished = load_production(COMPLETE | given)

    assert finished.returncode == 1
    assert finished.stderr.strip().endswith(f"Darkroom does not start: {reason}")


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    finished = load_production(COMPLETE | {"OIDC_ISSUER": "", "EMAIL_URL": "", "PUBLIC_URL": ""}, "settings.PUBLIC_URL")

    assert finished.stdout.strip() == "http://localhost:8000"


def test_a_check_warns_of_mail_that_leads_nowhere() -> None:
    check = ("manage.py", "check", "--deploy", "--tag", "security", "--fail-level", "WARNING")
    finished = in_production(*check, given=COMPLETE)

    assert finished.returncode == 1
    assert [code for code in ("accounts.W001", "accounts.W002") if code in finished.stderr] == [
        "accounts.W001",
        "accounts.W002",
    ]
    mail = {
        "SECRET_KEY": "abcdefgh" * 8,
        "EMAIL_URL": "smtp+tls://mail.example.org:587",
        "PUBLIC_URL": "https://photos.example.org",
    }
    finished = in_production(*check, given=COMPLETE | mail)
    assert (finished.returncode, finished.stdout) == (0, "System check identified no issues (2 silenced).\n")


def test_providers_are_set_up_by_the_environment() -> None:
    given = {
        "GITHUB_CLIENT_ID": "at GitHub",
        "GITHUB_CLIENT_SECRET": "hush",
        "OIDC_ISSUER": "https://login.example.org/",
        "OIDC_CLIENT_ID": "at the office",
        "OIDC_CLIENT_SECRET": "hush, too",
        "OIDC_NAME": "The office",
    }
    finished = load_production(COMPLETE | given, "__import__('json').dumps(settings.SOCIALACCOUNT_PROVIDERS)")

    office = {"provider_id": "oidc", "name": "The office", "client_id": "at the office", "secret": "hush, too"}
    office["settings"] = {"server_url": "https://login.example.org"}
    assert json.loads(finished.stdout) == {
        "github": {"APPS": [{"client_id": "at GitHub", "secret": "hush"}], "OAUTH_PKCE_ENABLED": True},
        "openid_connect": {"APPS": [office], "OAUTH_PKCE_ENABLED": True},
    }


def test_a_provider_without_its_secret_is_a_mistake() -> None:
    finished = load_production(COMPLETE | {"GOOGLE_CLIENT_ID": "at Google"})

    assert finished.returncode == 1
    assert "GOOGLE_CLIENT_SECRET" in finished.stderr


def test_a_secret_may_be_a_file_that_ends_with_a_line_break(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"f{KEY}\n")
    given = {key: value for key, value in COMPLETE.items() if key != "JWT_SIGNING_KEY"}

    finished = load_production(
        given | {"JWT_SIGNING_KEY_FILE": str(tmp_path / "key")}, "settings.SIMPLE_JWT['SIGNING_KEY']"
    )

    assert finished.stdout.strip() == f"f{KEY}"


def test_local_secrets_are_made_once_and_readable_by_their_owner_alone(tmp_path: Path) -> None:
    first = local_secrets.read_or_make(tmp_path / "var")

    assert sorted(first) == ["INTERNAL_TOKEN", "JWT_SIGNING_KEY", "SECRET_KEY"]
    assert len(set(first.values())) == 3
    assert min(map(len, first.values())) >= 50
    assert (tmp_path / "var" / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert local_secrets.read_or_make(tmp_path / "var") == first
    assert json.loads((tmp_path / "var" / "secrets.json").read_text()) == first
    assert [path.name for path in (tmp_path / "var").iterdir()] == ["secrets.json"]
