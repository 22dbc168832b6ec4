"""Installing models: where weights come from, what is refused, what is mended."""

import dataclasses
import hashlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from processing.engines import catalogue, installation
from processing.engines.catalogue import Model, WeightsFile
from processing.engines.errors import (
    ModelNotInstalledError,
    WeightsMismatchError,
    WeightsUnavailableError,
)

DLIB = "dlib-resnet-v1"
FACENET = "facenet-vggface2"
# a model of one file and without a conversion
NAME, FILE = "plain", "plain.dat"
CONTENT = b"weights " * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def _plain(**file: object) -> Model:
    """Give an entry of the catalogue; without a hash unless one is given."""
    weights = WeightsFile(**{"name": FILE, "sha256": None, **file})
    return Model(name=NAME, task="face_embedding", files=(weights,), licence="none", about="for tests")


def _files(folder: Path) -> dict[str, bytes]:
    """Give all files below a folder, without the lock's."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Serve bytes under a URL of this host; `announced` is a length that the answer claims to have."""
    servers = []

    def start(content: bytes, *, announced: int | None = None, status: int = 200) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(content) if announced is None else announced))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Be silent."""

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/{FILE}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def test_weights_of_a_package_are_installed(tmp_path: Path) -> None:
    model = installation.install(DLIB, models_dir=tmp_path)
    pinned = {file.name: file.sha256 for file in catalogue.get(DLIB).files}
    assert dict(model.weights) == pinned
    assert (dict(model.converted), model.folder) == ({}, tmp_path / DLIB)
    assert model.weights_hash == hashlib.sha256("".join(pinned[name] for name in sorted(pinned)).encode()).hexdigest()
    assert installation.installed(DLIB, tmp_path) == model
    assert installation.installed_models(task="face_embedding", models_dir=tmp_path) == [model]
    assert installation.installed_models(task="face_detection", models_dir=tmp_path) == []
    assert {path.name for path in tmp_path.iterdir()} == {DLIB, f".{DLIB}.lock"}


def test_others_may_read_what_is_installed(tmp_path: Path) -> None:
    folder = installation.install(DLIB, models_dir=tmp_path).folder
    assert folder.stat().st_mode & 0o777 == tmp_path.stat().st_mode & 0o700 | 0o055
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in folder.iterdir())


def test_a_second_installation_writes_nothing(tmp_path: Path) -> None:
    first = installation.install(DLIB, models_dir=tmp_path)
    before = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    assert installation.install(DLIB, models_dir=tmp_path) == first
    assert {path: path.stat().st_mtime_ns for path in first.folder.iterdir()} == before


def test_an_unknown_model_is_a_key_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        installation.install("arcface", models_dir=tmp_path)
    assert _files(tmp_path) == {}


def test_a_model_that_is_not_there_is_not_installed(tmp_path: Path) -> None:
    assert installation.installed(DLIB, tmp_path) is None
    with pytest.raises(ModelNotInstalledError, match=f"manage.py models install {DLIB}"):
        installation.require(DLIB, tmp_path, device="cpu")


def test_weights_laid_by_hand_are_used(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(CONTENT)
    model = installation.install(NAME, models_dir=tmp_path, model=_plain(sha256=SHA256))
    assert (model.folder / FILE).read_bytes() == CONTENT
    assert (tmp_path / FILE).read_bytes() == CONTENT


def test_weights_laid_into_the_models_own_folder_are_used(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / FILE).write_bytes(CONTENT)
    model = installation.install(NAME, models_dir=tmp_path, model=_plain(sha256=SHA256))
    assert dict(model.weights) == {FILE: SHA256}
    assert set(_files(tmp_path)) == {f"{NAME}/{FILE}", f"{NAME}/{installation.MANIFEST}"}


def test_a_wrong_hash_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    laid = tmp_path / catalogue.get(FACENET).files[0].name
    laid.write_bytes(b"something else")
    with pytest.raises(WeightsMismatchError, match="expected 281cebca8662831adb987a874bdcb36e73f5b1c6"):
        installation.install(FACENET, models_dir=tmp_path)
    assert _files(tmp_path) == {laid.name: b"something else"}
    assert {path.name for path in tmp_path.iterdir()} == {laid.name, f".{FACENET}.lock"}
    assert installation.installed(FACENET, tmp_path) is None


def test_weights_are_fetched(tmp_path: Path, serve: Callable[..., str]) -> None:
    entry = _plain(url=serve(CONTENT), sha256=SHA256, byte_size=len(CONTENT))
    model = installation.install(NAME, models_dir=tmp_path, model=entry)
    assert (model.folder / FILE).read_bytes() == CONTENT


def test_without_a_network_it_is_said_what_to_do(tmp_path: Path, closed_port: int) -> None:
    entry = catalogue.get(FACENET)
    url = f"http://127.0.0.1:{closed_port}/{entry.files[0].name}"
    unreachable = dataclasses.replace(entry, files=(dataclasses.replace(entry.files[0], url=url),))
    with pytest.raises(WeightsUnavailableError) as raised:
        installation.install(FACENET, models_dir=tmp_path, model=unreachable)
    said = str(raised.value)
    assert "Connection refused" in said
    assert f"fetch {url} elsewhere, put it at {tmp_path / entry.files[0].name}, and install again" in said
    assert _files(tmp_path) == {}


@pytest.mark.parametrize("answer", [{"announced": len(CONTENT) + 10}, {"status": 404}, {"status": 503}])
def test_an_answer_that_breaks_off_is_not_taken_for_weights(
    answer: dict[str, int], tmp_path: Path, serve: Callable[..., str]
) -> None:
    with pytest.raises(WeightsUnavailableError, match="could not be fetched"):
        installation.install(NAME, models_dir=tmp_path, model=_plain(url=serve(CONTENT, **answer)))
    assert _files(tmp_path) == {}


def test_an_answer_that_is_too_long_is_refused(tmp_path: Path, serve: Callable[..., str]) -> None:
    entry = _plain(url=serve(CONTENT), byte_size=len(CONTENT) - 1)
    with pytest.raises(WeightsMismatchError, match="larger than the 7,999 bytes"):
        installation.install(NAME, models_dir=tmp_path, model=entry)
    assert _files(tmp_path) == {}


def test_a_missing_package_is_said(tmp_path: Path) -> None:
    entry = _plain(package="facenet_pytorch", path="data/qnet.pt")
    with pytest.raises(WeightsUnavailableError, match=r"facenet_pytorch is not installed, or lacks data/qnet.pt"):
        installation.install(NAME, models_dir=tmp_path, model=entry)
    with pytest.raises(WeightsUnavailableError, match="no_such_package is not installed"):
        installation.install(NAME, models_dir=tmp_path, model=_plain(package="no_such_package", path="x"))
    assert _files(tmp_path) == {}


def test_a_hash_that_nobody_states_is_recorded_and_held(tmp_path: Path) -> None:
    entry = _plain()
    (tmp_path / FILE).write_bytes(CONTENT)
    model = installation.install(NAME, models_dir=tmp_path, model=entry)
    assert dict(model.weights) == {FILE: SHA256}
    (tmp_path / FILE).unlink()
    (model.folder / FILE).write_bytes(b"changed")
    before = _files(tmp_path)
    with pytest.raises(WeightsMismatchError, match=f"expected {SHA256}"):
        installation.require(NAME, tmp_path, device="cpu")
    with pytest.raises(WeightsMismatchError, match=f"expected {SHA256}"):
        installation.install(NAME, models_dir=tmp_path, model=entry)
    assert _files(tmp_path) == before


def test_damaged_weights_of_a_package_are_refused_and_mended(tmp_path: Path) -> None:
    model = installation.install(DLIB, models_dir=tmp_path)
    damaged = model.folder / catalogue.get(DLIB).files[1].name
    damaged.write_bytes(b"damaged")
    with pytest.raises(WeightsMismatchError, match=damaged.name):
        installation.require(DLIB, tmp_path, device="cpu")
    assert installation.install(DLIB, models_dir=tmp_path) == model
    assert installation.require(DLIB, tmp_path, device="cpu") == model


def test_a_missing_file_is_told_and_mended(tmp_path: Path) -> None:
    model = installation.install(DLIB, models_dir=tmp_path)
    (model.folder / catalogue.get(DLIB).files[0].name).unlink()
    with pytest.raises(ModelNotInstalledError, match="is missing"):
        installation.require(DLIB, tmp_path, device="cpu")
    assert installation.install(DLIB, models_dir=tmp_path) == model


def test_converted_files_matter_to_the_cpu_alone(tmp_path: Path, models_dir: Path) -> None:
    source = installation.require("mtcnn", models_dir, device="cpu").folder
    folder = tmp_path / "mtcnn"
    folder.mkdir()
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "rnet.bin").write_bytes(b"damaged")
    with pytest.raises(WeightsMismatchError, match=r"rnet\.bin"):
        installation.require("mtcnn", tmp_path, device="cpu")
    assert installation.require("mtcnn", tmp_path, device="cuda").name == "mtcnn"


@pytest.mark.parametrize("manifest", ["", "{", "[]", "{}", '{"format": 2}', '{"format": 1, "files": {}}'])
def test_a_damaged_manifest_is_no_installation(manifest: str, tmp_path: Path) -> None:
    model = installation.install(DLIB, models_dir=tmp_path)
    whole = (model.folder / installation.MANIFEST).read_text()
    (model.folder / installation.MANIFEST).write_text(manifest)
    assert installation.installed(DLIB, tmp_path) is None
    with pytest.raises(ModelNotInstalledError):
        installation.require(DLIB, tmp_path, device="cpu")
    assert installation.install(DLIB, models_dir=tmp_path) == model
    assert json.loads((model.folder / installation.MANIFEST).read_text()) == json.loads(whole)


def test_the_device_is_the_cpu_where_there_is_no_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(installation, "DRIVER_FILES", (tmp_path / "version",))
    assert installation.resolve_device("auto") == "cpu"
    assert installation.resolve_device("cpu") == "cpu"
