"""What a new installation needs before photos can come: an administrator, a library, models in use."""

import secrets
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction

from accounts.models import Library, User
from accounts.services.libraries import create_library
from processing.engines import catalogue, installation
from processing.models import ModelSelection
from processing.services.face_analysis import switch_face_analysis
from processing.services.selection import select_model

LIBRARY_NAME = "Photos"
PASSWORD_FILE = "admin-password"  # noqa: S105 - a file's name
# the first that can be installed serves
PREFERRED = {
    "face_detection": ("mtcnn",),
    "face_embedding": ("facenet-vggface2", "dlib-resnet-v1"),
}

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Login:
    """How to log in. `password` is given once, when it has just been made."""

    email: str
    password: str | None
    password_file: Path | None


def make_administrator(*, email: str, password: str | None) -> Login:
    """Make the superuser unless there is one with this address; a password that is not given is made up and kept."""
    kept = settings.VAR_DIR / PASSWORD_FILE
    if User.objects.filter(email=email.lower()).exists():
        return Login(email, None, kept if kept.is_file() else None)
    if password:
        User.objects.create_superuser(email, password)
        return Login(email, None, None)
    password = secrets.token_urlsafe(15)
    kept.touch(mode=0o600)
    kept.chmod(0o600)
    kept.write_text(password + "\n")
    User.objects.create_superuser(email, password)
    return Login(email, password, kept)


@transaction.atomic
def make_library(*, admin_email: str, tell: Tell) -> Library:
    """Make the library of the first run, with face analysis on, unless it is there."""
    library = Library.objects.filter(name=LIBRARY_NAME).first()
    if library is not None:
        return library
    admin = User.objects.get(email=admin_email.lower())
    library = create_library(name=LIBRARY_NAME, admin=admin)
    tell(f"Library {library.name!r} was made, and face analysis was switched ON in it (in other libraries it is off).")
    return switch_face_analysis(library=library, enabled=True, by=admin)


def install_models(*, tell: Tell) -> None:
    """See to it that every task has a model in use, and that this machine has it."""
    for task, names in PREFERRED.items():
        selection = ModelSelection.objects.filter(task=task, in_use=True).first()
        if selection is not None:
            _ensure_installed(selection.model, tell=tell)
            continue
        for name in names:
            installed = _ensure_installed(name, tell=tell)
            if installed is not None:
                select_model(installed=installed, in_use=True)
                tell(f"{task}: {name} is in use.")
                break


def _ensure_installed(name: str, *, tell: Tell) -> installation.InstalledModel | None:
    """Install a model in a process of its own, since the conversion imports torch; None where it cannot be had."""
    found = installation.installed(name, settings.MODELS_DIR)
    if found is not None:
        return found
    tell(f"Installing {name} ({catalogue.get(name).licence}) ...")
    manage = str(settings.BASE_DIR / "manage.py")
    done = subprocess.run(
        [sys.executable, manage, "models", "install", name], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).removeprefix("CommandError: ")
        tell(f"{name} cannot be installed here: {said}")
        return None
    return installation.installed(name, settings.MODELS_DIR)
