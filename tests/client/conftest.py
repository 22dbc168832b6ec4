"""The client as others get it: built of the schema, installed, and run against a real server."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import factories
import pytest
from installed import Command, install
from pytest_django import Settings
from relay import Relay
from upload_server import Server, serving

from accounts.models import Library, User
from accounts.roles import Permission
from accounts.services import api_keys

REPOSITORY = Path(__file__).resolve().parents[2]
SCOPES = ("photos.view", "originals.download", "photos.upload", "photos.edit", "people.view")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the client was built, as `make client` does it."""
    folder = tmp_path_factory.mktemp("client") / "built"
    command = [sys.executable, REPOSITORY / "client" / "build.py", folder]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_file()
    return folder


@pytest.fixture(scope="session")
def programs(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment in which the wheel is installed."""
    [wheel] = built.glob("*.whl")
    return install(wheel, tmp_path_factory.mktemp("installed") / "environment")


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the one server has its files."""
    return tmp_path_factory.mktemp("client_store")


@pytest.fixture(scope="session")
def server_environment(environment_of_processes: dict[str, str], shared_store: Path) -> dict[str, str]:
    """The environment of a server; each test has to ask for `transactional_db`."""
    import os

    stores = {"ORIGINALS_DIR": str(shared_store / "originals"), "RENDITIONS_DIR": str(shared_store / "renditions")}
    return os.environ | environment_of_processes | stores


@pytest.fixture(scope="session")
def running(server_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server, the same for every test."""
    with serving(server_environment, tmp_path_factory.mktemp("client_web") / "web.log") as server:
        yield server


@pytest.fixture
def server(running: Server, transactional_db: None, shared_store: Path, settings: Settings) -> Server:
    """That server, whose store is this process's too."""
    stores = {
        alias: {**settings.STORAGES[alias], "OPTIONS": {"location": str(shared_store / alias)}}
        for alias in ("originals", "renditions")
    }
    settings.STORAGES = {**settings.STORAGES, **stores}
    return running


@pytest.fixture
def library(transactional_db: None) -> Library:
    return factories.make_library(name="Family")


@pytest.fixture
def editor(library: Library) -> User:
    return factories.make_member(library, "editor")


@pytest.fixture
def key(editor: User) -> str:
    """A key as the command has it made."""
    return api_keys.create(owner=editor, name="test", scopes=[Permission(one) for one in SCOPES]).text


@pytest.fixture
def command_at(programs: Path, key: str, tmp_path: Path) -> Callable[[str], Command]:
    """Give the command with a home of its own, whose server is at an address."""

    def give(url: str) -> Command:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "DARKROOM_URL": url, "DARKROOM_API_KEY": key}
        return Command(programs, environment | {"LANG": "C.UTF-8", "DARKROOM_PATIENCE": "60"})

    return give


@pytest.fixture
def command(server: Server, command_at: Callable[[str], Command]) -> Command:
    return command_at(server.url)


@pytest.fixture
def relay(server: Server) -> Iterator[Relay]:
    """A relay in front of the server."""
    made = Relay(server.url)
    yield made
    made.close()
