"""The generated package: all of the schema is in it, what it needs it asks for, and it understands the server."""

import importlib.util
import json
import tomllib
from pathlib import Path
from types import ModuleType
from zipfile import ZipFile

import factories
import pytest
from installed import Command
from real_photos import REPOSITORY

from accounts.models import Library
from accounts.services import tokens

ALL_MODULES = """
import importlib, json, pkgutil, darkroom_cli, darkroom_client
names = []
for package in (darkroom_client, darkroom_cli):
    for one in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not one.name.endswith("__main__"):
            importlib.import_module(one.name)
            names.append(one.name)
print(json.dumps(names))
"""
# asks every list and overview; prints what each answer was understood as
READ_ALL = """
import inspect, json, os, pkgutil, importlib
from darkroom_client import AuthenticatedClient, api
client = AuthenticatedClient(os.environ["DARKROOM_URL"], token=os.environ["TOKEN"])
found = {}
for one in pkgutil.walk_packages(api.__path__, api.__name__ + "."):
    module = importlib.import_module(one.name)
    if one.ispkg or one.name.endswith(".events"):
        continue
    sure = [name for name, about in inspect.signature(module.sync_detailed).parameters.items()
            if about.default is inspect.Parameter.empty]
    if sure == ["client"] and module._get_kwargs()["method"] == "get":
        answer = module.sync_detailed(client=client)
        found[one.name.rpartition(".")[2]] = [answer.status_code, type(answer.parsed).__name__]
client.get_httpx_client().close()
print(json.dumps(found))
"""
USE = """
import io, os, sys
from darkroom_client import AuthenticatedClient
from darkroom_client.api.photos import photos_create, photos_list, photos_original_retrieve, photos_retrieve
from darkroom_client.models import PhotoStateEnum, Problem, UploadRequest
from darkroom_client.types import File
library, file = sys.argv[1:]
client = AuthenticatedClient(os.environ["DARKROOM_URL"], token=os.environ["DARKROOM_API_KEY"], prefix="Api-Key")
with open(file, "rb") as opened:
    body = UploadRequest(file=File(opened, "IMG_1.jpg", "image/jpeg"), library=library)
    made = photos_create.sync_detailed(client=client, body=body)
photo = photos_retrieve.sync(made.parsed.id, client=client)
page = photos_list.sync(client=client, q="img_1", library=library)
problem = photos_list.sync(client=client, near="nowhere")
original = photos_original_retrieve.sync(photo.id, client=client)
assert [one.id for one in page.results] == [photo.id], page
assert isinstance(problem, Problem) and problem.code == "invalid" and problem.errors[0].field == "near", problem
assert PhotoStateEnum("of tomorrow").value == "of tomorrow" and PhotoStateEnum("ready") is PhotoStateEnum.READY
client.get_httpx_client().close()
is_same = original.payload.read() == open(file, "rb").read()
print(made.status_code.value, photo.sha256, photo.width, photo.state, is_same)
"""


@pytest.fixture(scope="module")
def schema(built: Path) -> dict:
    return json.loads((built / "openapi.json").read_text())


@pytest.fixture(scope="module")
def build() -> ModuleType:
    """The program that builds."""
    spec = importlib.util.spec_from_file_location("client_build", REPOSITORY / "client" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def operations(schema: dict) -> set[str]:
    return {one["operationId"] for methods in schema["paths"].values() for one in methods.values()}


def test_every_operation_has_its_function(built: Path, schema: dict) -> None:
    [wheel] = built.glob("*.whl")
    names = [Path(name) for name in ZipFile(wheel).namelist()]
    modules = [one.stem for one in names if one.match("darkroom_client/api/*/*.py") and one.name != "__init__.py"]

    assert len(operations(schema)) == len(modules) == 145
    assert operations(schema) == set(modules)
    assert Path("darkroom_client/py.typed") in names


@pytest.mark.parametrize(
    ("media_type", "told"),
    [("application/x-unheard-of", "Unsupported content type"), ("application/json", None)],
)
def test_a_schema_that_cannot_be_generated_is_told(
    media_type: str, told: str | None, build: ModuleType, tmp_path: Path
) -> None:
    body = {"content": {media_type: {"schema": {"type": "object", "properties": {"name": {"type": "string"}}}}}}
    operation = {"operationId": "things_create", "tags": ["things"], "requestBody": body, "responses": {"204": {
        "description": "Done."}}}  # fmt: skip
    schema = {"openapi": "3.0.3", "info": {"title": "x", "version": "1"}, "paths": {"/things": {"post": operation}}}
    package = tmp_path / "package"
    if told is None:
        build.generate(schema, tmp_path / "schema.json", package)
        assert (package / "api" / "things" / "things_create.py").is_file()
    else:
        with pytest.raises(SystemExit, match=told):
            build.generate(schema, tmp_path / "schema.json", package)


def test_it_needs_what_it_asks_for(programs: Path, schema: dict) -> None:
    names = json.loads(Command(programs).python(ALL_MODULES))

    assert len(names) > 139 + 200
    assert "darkroom_cli.main" in names
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    assert Command(programs).run("--version").stdout == f"darkroom, version {version}\n"


def test_files_of_every_format_are_known_by_their_suffixes(programs: Path, schema: dict) -> None:
    suffixes = Command(programs).python("from darkroom_cli.folder import *; print(*PHOTO_SUFFIXES)").split()
    parameters = schema["paths"]["/api/v1/photos"]["get"]["parameters"]
    [formats] = [one["schema"]["enum"] for one in parameters if one["name"] == "media_type"]

    assert len(formats) >= 8
    assert {f".{one.removeprefix('image/')}" for one in formats} <= set(suffixes)


def test_every_filter_of_the_schema_is_an_option(programs: Path, schema: dict) -> None:
    parameters = schema["paths"]["/api/v1/photos"]["get"]["parameters"]
    names = {one["name"] for one in parameters} - {"cursor", "page_size", "fields"}
    assert {"q", "person", "tag", "taken_after", "sha256", "order"} < names
    for command in ("search", "download"):
        told = Command(programs).run(command, "--help").stdout
        missing = [name for name in names if f"--{name.replace('_', '-')} " not in told]
        assert missing == []
        assert "Taken at this time or later" in told


def test_every_list_is_understood(command: Command, library: Library) -> None:
    photo = factories.make_photo(library)
    factories.make_metadata(photo, camera_make="Canon", latitude=1.5, longitude=2.5)
    factories.make_face(photo, person=factories.make_person(library))
    factories.make_tag(library, "Sea", photo)

    # who runs the installation may ask for all of it
    command.environment["TOKEN"] = tokens.begin(user=factories.make_user(is_superuser=True)).access
    found = json.loads(command.python(READ_ALL))

    assert {name: answer for name, answer in found.items() if answer[0] != 200} == {}
    assert [name for name, (_, kind) in found.items() if kind in {"NoneType", "Problem"}] == []
    assert found["photos_list"] == [200, "PaginatedListedPhotoList"]
    assert {"auth_me", "keys_list", "photos_facets_retrieve", "admin_stages", "people_list"} <= set(found)


def test_a_program_uploads_searches_and_downloads(command: Command, library: Library, tmp_path: Path) -> None:
    file = tmp_path / "IMG_1.jpg"
    file.write_bytes(factories.image_bytes())

    printed = command.python(USE, library.pk, file).split()

    [photo] = library.photos.all()
    assert printed == ["201", photo.sha256, "40", "pending", "True"]
